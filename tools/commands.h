/* commands.h - the commands; each has a file cmd_NAME.c */
#ifndef SONICIO_TOOLS_COMMANDS_H
#define SONICIO_TOOLS_COMMANDS_H

#include "args.h"

extern const struct command bench_command;
extern const struct command connect_command;
extern const struct command demo_command;
extern const struct command echo_command;
extern const struct command mcast_command;
extern const struct command mold_command;
extern const struct command soup_command;
extern const struct command tables_command;

#endif
