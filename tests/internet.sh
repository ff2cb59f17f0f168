#!/bin/bash
# The demo's routers let nothing in and its symmetric one is symmetric: tried with real packets.
set -euo pipefail
cd "$(dirname "$0")/.."
demo/test_net
