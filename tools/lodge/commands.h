/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The subcommands. Each takes its own argv (argv[0] is its name) and returns the
 * exit status of the program.
 */
#ifndef LODGE_COMMANDS_H
#define LODGE_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif /* LODGE_COMMANDS_H */
