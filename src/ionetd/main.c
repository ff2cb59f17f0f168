#include "run.h"

int main(int argc, char **argv)
{
    return ionetd_run(argc, argv);
}
