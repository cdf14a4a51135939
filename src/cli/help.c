#include "cli/help.h"

static const char usage[] =
    "Usage: shoal-cli [OPTIONS] [cmd [arg [arg ...]]]\n"
    "\n"
    "Where to connect\n"
    "  -h <hostname>       Server hostname (default: 127.0.0.1).\n"
    "  -p <port>           Server port (default: 6379).\n"
    "  -s <socket>         Server's Unix socket (overrides hostname and port).\n"
    "  -u <uri>            Server as redis://user:password@host:port/db.\n"
    "  -t <seconds>        Give up connecting after so long (default: never). Also --timeout.\n"
    "  -n <db>             Database number.\n"
    "  -c                  Cluster mode: follow MOVED and ASK to the right node.\n"
    "  -2, -3              Speak RESP2 or RESP3.\n"
    "\n"
    "Who you are\n"
    "  -a <password>       Password, also --pass. The environment variable REDISCLI_AUTH\n"
    "                      passes it more safely.\n"
    "  --user <username>   Sends AUTH username password; needs a password.\n"
    "  --askpass           Ask for the password in the terminal.\n"
    "  --no-auth-warning   Don't warn of a password on the command line.\n"
    "\n"
    "What to send\n"
    "  -r <repeat>         Execute the command so many times (-1: for ever).\n"
    "  -i <interval>       With -r: wait so many seconds after each (0.1 is allowed).\n"
    "                      With --scan: after each page.\n"
    "  -x                  Read the last argument from standard input.\n"
    "  -X <tag>            Read the argument that stands as <tag> from standard input.\n"
    "  --quoted-input      Arguments are quoted strings: '\"a\\x00b\"'.\n"
    "  --pipe              Send raw protocol from standard input to the server.\n"
    "  --pipe-timeout <n>  With --pipe: fail when no reply comes for n seconds after the last\n"
    "                      byte was sent (default: 30; 0: wait for ever).\n"
    "  --scan              List the keys, with SCAN.\n"
    "  --pattern <pat>     With --scan: keys that match (default: all).\n"
    "  --quoted-pattern <pat>  The same, as a quoted string.\n"
    "  --count <n>         With --scan: the COUNT of each SCAN.\n"
    "\n"
    "How to show replies\n"
    "  --raw               As they are (the default when the output is no terminal).\n"
    "  --no-raw            Formatted for people, even when the output is no terminal.\n"
    "  --csv               Comma-separated.\n"
    "  --json              JSON; asks for RESP3 unless -2 is given.\n"
    "  --quoted-json       The same in ASCII, other bytes as \\xHH.\n"
    "  -d <delimiter>      Between the items of a raw reply (default: newline).\n"
    "  -D <delimiter>      After each raw reply (default: newline).\n"
    "  -e                  Exit with status 1 when the command fails.\n"
    "  --show-pushes <yn>  Print RESP3 push messages (default: yes in a terminal).\n"
    "  --verbose           Say more.\n"
    "\n"
    "Clusters\n"
    "  --cluster <command> [args...] [opts...]\n"
    "                      Create, look at and reshape a cluster; see --cluster help.\n"
    "\n"
    "  --help, --version   Print this, or the version.\n"
    "\n"
    "Examples:\n"
    "  shoal-cli -r 100 -i 1 info memory\n"
    "  cat photo.jpg | shoal-cli -x set photo\n"
    "  shoal-cli --scan --pattern 'user:*'\n"
    "  shoal-cli --quoted-input set '\"null-\\x00-separated\"' value\n"
    "  shoal-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002\n"
    "\n"
    "Without a command, shoal-cli reads commands: from the terminal with history and\n"
    "completion, else line by line.\n";

static const char cluster_usage[] =
    "Cluster Manager Commands:\n"
    "  create         host1:port1 ... hostN:portN\n"
    "                 --cluster-replicas <arg>\n"
    "  check          <host:port> or <host> <port> - separated by either colon or space\n"
    "                 --cluster-search-multiple-owners\n"
    "  info           <host:port> or <host> <port> - separated by either colon or space\n"
    "  reshard        <host:port> or <host> <port> - separated by either colon or space\n"
    "                 --cluster-from <arg>\n"
    "                 --cluster-to <arg>\n"
    "                 --cluster-slots <arg>\n"
    "                 --cluster-yes\n"
    "                 --cluster-timeout <arg>\n"
    "                 --cluster-pipeline <arg>\n"
    "                 --cluster-replace\n"
    "  call           host:port command arg arg .. arg\n"
    "                 --cluster-only-masters\n"
    "                 --cluster-only-replicas\n"
    "  help           \n"
    "\n"
    "For check, reshard, info, call you can specify the host and port of any working node in the cluster.\n"
    "\n"
    "Cluster Manager Options:\n"
    "  --cluster-yes  Automatic yes to cluster commands prompts\n"
    "\n";

void help_version(FILE *to) {
    fprintf(to, "shoal-cli %s\n", SHOAL_VERSION);
}

void help_usage(FILE *to) {
    help_version(to);
    fputs("\n", to);
    fputs(usage, to);
}

void help_cluster(FILE *to) {
    fputs(cluster_usage, to);
}

void help_interactive(FILE *to) {
    help_version(to);
    fputs("To get help about Redis commands type:\n"
          "      \"help <command>\" for help on <command>\n"
          "      \"help <tab>\" to get a list of possible help topics\n"
          "      \"quit\" to exit\n"
          "\n"
          "Also: \"connect <host> <port>\", \"clear\", \"<n> <command>\" to execute it n times.\n",
          to);
}
