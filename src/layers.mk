# The architecture: one line a module, NAME := what it may include besides itself. A module may name
# only modules that stand before it, so there is no cycle. The build gives each module an include path
# with the public headers of these and nothing else. docs/architecture.md says what each is for.

base    :=
codec   := base
crypto  := base
record  := base
ledger  := base record
market  := base record
fleet   := base record
place   := base record fleet
mesh    := base record
cluster := base record mesh
network := base crypto record ledger market fleet place mesh cluster
worker  := base record mesh cluster

sys     := base
json    := base codec record
recipe  := base crypto
store   := base record sys
net     := base
link    := base codec crypto record json mesh cluster
wg      := base codec crypto sys net
egress  := base sys
runtime := base record mesh cluster sys net egress
gateway := base codec crypto record sys json net mesh cluster link wg
api     := base codec crypto record sys json recipe net ledger market fleet place mesh cluster network link store

ionetd        := base codec crypto record sys json recipe net ledger market fleet place mesh cluster network link store api
ionet-gateway := base codec crypto record sys net mesh cluster link wg gateway
ionet-worker  := base crypto record sys json recipe net mesh cluster worker link wg egress runtime
ionet-fleet   := base codec crypto record sys json net mesh cluster link
ionet         := base codec crypto record sys json net ledger market fleet mesh cluster
ionet-sim     := base crypto record sys ledger market fleet place mesh cluster network worker

MODULES  := base codec crypto record ledger market fleet place mesh cluster network worker \
            sys json recipe store net link wg egress runtime gateway api
PROGRAMS := ionetd ionet-gateway ionet-worker ionet ionet-fleet ionet-sim

# What does not lie in src/NAME.
DIR_ionet-sim := sim

# Modules that know no system: no clock, socket, disk, heap, randomness (checked with nm).
PURE := base codec crypto record ledger market fleet place mesh cluster network worker

# What each takes from Debian.
USES_crypto  := libsodium
USES_sys     := libsodium libseccomp
USES_json    := jansson
USES_recipe  := libcyaml yaml-0.1
USES_store   := sqlite3
USES_net     := libuv openssl libnghttp2
USES_wg      := libuv
USES_egress  := libuv
USES_runtime := libuv jansson
USES_gateway := libuv openssl
# Without a .pc file of its own: wslay; llhttp, which Debian ships as C source.
LIBS_net     := -lwslay
INCLUDES_net := -I/usr/share/include/llhttp
OBJECTS_net  := llhttp/api.o llhttp/http.o llhttp/llhttp.o
