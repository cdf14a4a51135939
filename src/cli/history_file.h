// history_file: the lines typed in earlier sessions, in ~/.shoalcli_history or where SHOALCLI_HISTFILE says;
// one line each, readable by its owner only. Belongs to the main thread.
#ifndef SHOAL_CLI_HISTORY_FILE_H
#define SHOAL_CLI_HISTORY_FILE_H

// Gives the line editor what the file holds. A file that has grown long loses its oldest lines.
void history_file_load(void);

// Adds a line to the line editor's history and to the file, unless it repeats the last one.
void history_file_add(const char *line);

#endif
