/* run.h: the program, from its arguments to its exit status. */
#ifndef IONETD_RUN_H
#define IONETD_RUN_H

int ionetd_run(int argc, char **argv);

#endif
