// terminal: asking the person at the keyboard. Belongs to the main thread.
#ifndef SHOAL_CLI_TERMINAL_H
#define SHOAL_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

// Shows `prompt` on standard output and reads a line from standard input without its end; false at the end of
// input.
bool terminal_ask(const char *prompt, char *answer, size_t room);

// The same on the terminal itself, without showing what is typed.
bool terminal_ask_secret(const char *prompt, char *answer, size_t room);

#endif
