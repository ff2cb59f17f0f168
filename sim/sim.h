/* sim.h: one simulated network, from one seed: the shipping values `network` and `worker` in a world that harms them.
 *
 * The world loses, repeats, delays and reorders messages, crashes each side around every commit and every save, cuts
 * links, skews and moves clocks, fills disks, and has devices that lie, flap, vanish and copy themselves, gateways that
 * come and go, containers that end, and clients that order, extend, terminate and grant. After every step of the network
 * the checkers look whether its promises hold; each has a name, printed with the seed when it fails. At the end the faults
 * cease, and all must come to rest. The same seed brings the same world, to the last effect. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_figures {
    uint64_t worlds, network_inputs, worker_inputs, effects, simulated_ms;
    uint64_t network_crashes, worker_crashes, reboots, messages, messages_lost;
    uint64_t clusters, ready, healed, ended, failed, nodes_lost, charged_micros;
    uint64_t digest; /* of all effects and actions, in their order */
};

/* One world: its seed decides how long it is, too. False when a checker failed: it has been said on stderr. */
bool sim_run(uint64_t seed, struct sim_figures *sum);

/* One line. */
void sim_print(const struct sim_figures *sum, double cpu_seconds);

#endif
