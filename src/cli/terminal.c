#include "cli/terminal.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

bool terminal_ask(const char *prompt, char *answer, size_t room) {
    fputs(prompt, stdout);
    fflush(stdout);
    if (!fgets(answer, (int)room, stdin)) return false;
    answer[strcspn(answer, "\r\n")] = '\0';
    return true;
}

bool terminal_ask_secret(const char *prompt, char *answer, size_t room) {
    struct termios shown, hidden;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        hidden = shown;
        hidden.c_lflag &= (tcflag_t) ~(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    fputs(prompt, stderr);
    bool answered = fgets(answer, (int)room, stdin) != NULL;
    if (answered) answer[strcspn(answer, "\r\n")] = '\0';
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputs("\n", stderr);
    }
    return answered;
}
