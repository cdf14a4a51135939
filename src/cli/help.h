// help: what the program says about itself.
#ifndef SHOAL_CLI_HELP_H
#define SHOAL_CLI_HELP_H

#include <stdio.h>

void help_usage(FILE *to);
void help_version(FILE *to);

// --cluster help.
void help_cluster(FILE *to);

// "help" typed at the prompt.
void help_interactive(FILE *to);

#endif
