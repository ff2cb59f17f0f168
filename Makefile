# make              all programs, with $(CC)          make test         everything; closes with N passed, N failed
# make demo         the main job, start to end        make test-M       the tests of module M alone
# make check-style  format, lint, shape, purity       make bench        figures, one line each
# make soak         what takes long, tests/soak       make fuzz         lists the fuzz targets
# make fuzz-NAME    runs one for T=60 seconds          make corpus-NAME  keeps what it found, minimised
# make sim          worlds that go wrong, by chance: SEED=N replays one, T=SECONDS (of CPU time) for more of them
# make sim-mutants  plants each bug of sim/mutants/ and looks whether its checker finds it (two minutes); ONLY=NAME
#
# V=1 shows the commands.  CC=gcc (default) or clang-14.  MODE=release (default), asan or fuzz.  BUILD=build.
# test, demo and bench install what is missing by tools/setup first; demo takes KEEP=1.
include src/layers.mk

ifeq ($(origin CC),default)
CC := gcc
endif
MODE  ?= release
BUILD ?= build
Q     := $(if $(V),,@)
OUT   := $(BUILD)/$(CC)-$(MODE)
FLAGS := $(OUT)/flags

WARN := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes \
        -Wimplicit-fallthrough -Wswitch-enum -Werror
CFLAGS_release  := -O2 -g -D_FORTIFY_SOURCE=2
CFLAGS_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_fuzz     := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_release := -Wl,-z,relro,-z,now
LDFLAGS_asan    := -fsanitize=address,undefined
LDFLAGS_fuzz    := -fsanitize=fuzzer,address,undefined
$(if $(CFLAGS_$(MODE)),,$(error MODE is release, asan or fuzz, not $(MODE)))
CFLAGS  := -std=gnu17 -D_GNU_SOURCE -fPIE -fstack-protector-strong -fvisibility=hidden $(WARN) $(CFLAGS_$(MODE))
LDFLAGS := -pie $(LDFLAGS_$(MODE))

ALL  := $(MODULES) $(PROGRAMS)
where = $(or $(DIR_$(1)),src/$(1))
LIVE := $(foreach m,$(ALL),$(if $(wildcard $(call where,$(m))/*.c),$(m)))
BINS := $(foreach p,$(filter $(LIVE),$(PROGRAMS)),$(OUT)/bin/$(p))

# A module and all it stands on, topmost first, so that archives link in one pass.
deps     = $(1) $(foreach m,$(call reverse,$(MODULES)),$(if $(filter $(m),$(call closure,$(1))),$(m)))
closure  = $(sort $($(1)) $(foreach m,$($(1)),$(call closure,$(m))))
reverse  = $(if $(1),$(call reverse,$(wordlist 2,999,$(1))) $(firstword $(1)))
flags_of = $(if $(1),$(shell pkg-config --cflags $(1)))
libs_of  = $(if $(strip $(1)),$(shell pkg-config --libs $(1)))
archives = $(foreach m,$(filter $(LIVE),$(call deps,$(1))),$(OUT)/lib/$(m).a)
libs     = $(call libs_of,$(foreach m,$(call deps,$(1)),$(USES_$(m)))) $(foreach m,$(call deps,$(1)),$(LIBS_$(m))) -lpthread -ldl
includes = -I$(OUT)/view/$(1) $(call flags_of,$(USES_$(1))) $(INCLUDES_$(1))

# The main of a fuzz target: ours, which replays its corpus, or libFuzzer's.
REPLAY := $(if $(filter fuzz,$(MODE)),,$(OUT)/replay.o)

.PHONY: all tests archives views setup test demo soak bench sim sim-mutants fuzz check-style check-pure clean
all: $(BINS) archives
	@mkdir -p $(BUILD)/bin && for p in $(notdir $(BINS)); do ln -sfn ../$(CC)-$(MODE)/bin/$$p $(BUILD)/bin/$$p; done
archives: $(foreach m,$(filter $(LIVE),$(MODULES)),$(OUT)/lib/$(m).a)

# ---- one module -----------------------------------------------------------------------------------
# A source test_*.c is a test program; fuzz_*.c is a fuzz target, and as a test program it takes every input of its
# corpus; with_*.c is what several of these need; the rest is the module. Its view is a folder of links to the
# headers that src/layers.mk lets it include.
define module
AT_$(1)   := $(call where,$(1))
SRC_$(1)  := $$(filter-out $$(AT_$(1))/test_% $$(AT_$(1))/fuzz_% $$(AT_$(1))/with_%,$$(wildcard $$(AT_$(1))/*.c))
OBJ_$(1)  := $$(SRC_$(1):$$(AT_$(1))/%.c=$(OUT)/$(1)/%.o) $$(OBJECTS_$(1):%=$(OUT)/%)
WITH_$(1) := $$(patsubst $$(AT_$(1))/%.c,$(OUT)/$(1)/%.o,$$(wildcard $$(AT_$(1))/with_*.c))
TEST_$(1) := $$(patsubst $$(AT_$(1))/%.c,$(OUT)/test/$(1)/%,$$(wildcard $$(AT_$(1))/test_*.c $$(AT_$(1))/fuzz_*.c))
VIEW_$(1) := $(OUT)/view/$(1)/.made

$$(VIEW_$(1)): $$(foreach m,$$($(1)),$$(wildcard src/$$(m)/*.h)) src/layers.mk
	@rm -rf $$(@D) && mkdir -p $$(@D) && for m in $$($(1)); do mkdir -p $$(@D)/$$$$m; \
	  for h in src/$$$$m/*.h; do case $$$$h in *_int.h|*'*'*) ;; *) ln -sf $(CURDIR)/$$$$h $$(@D)/$$$$m/;; esac; done; done; touch $$@

$(OUT)/$(1)/%.o: $(call where,$(1))/%.c $(FLAGS) | $$(VIEW_$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) $$(call includes,$(1)) -MMD -MP -c $$< -o $$@

$(OUT)/lib/$(1).a: $$(OBJ_$(1))
	@mkdir -p $$(@D) && rm -f $$@
	@ar rcs $$@ $$^

# What a test is linked with; for a program's test that is the program without its main.
PART_$(1) := $$(WITH_$(1)) $(if $(filter $(1),$(PROGRAMS)),$$(filter-out %/main.o,$$(OBJ_$(1))))
BASE_$(1)  = $$(filter-out $(PROGRAMS:%=$(OUT)/lib/%.a),$$(call archives,$(1)))
$(OUT)/test/$(1)/%: $(OUT)/$(1)/%.o $$(PART_$(1)) $$(BASE_$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $$^ $$(call libs,$(1)) -lcmocka -o $$@
$(OUT)/test/$(1)/fuzz_%: $(OUT)/$(1)/fuzz_%.o $(REPLAY) $$(PART_$(1)) $$(BASE_$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $$^ $$(call libs,$(1)) -lcmocka -o $$@

.PHONY: test-$(1)
test-$(1): $$(TEST_$(1))
	@for t in $$(TEST_$(1)); do echo "== $$$$t"; $$$$t || exit 1; done
-include $$(patsubst %.o,%.d,$$(OBJ_$(1)) $$(WITH_$(1))) $$(TEST_$(1):$(OUT)/test/$(1)/%=$(OUT)/$(1)/%.d)
endef
$(foreach m,$(ALL),$(eval $(call module,$(m))))

define program
$(OUT)/bin/$(1): $$(OBJ_$(1)) $$(BASE_$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $$^ $$(call libs,$(1)) -o $$@
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# What all is compiled with: written when it has changed, and all is compiled anew.
.PHONY: FORCE
$(FLAGS): FORCE
	@mkdir -p $(@D) && { echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' >$@; }

# Node's HTTP/1 parser comes from Debian as C source; it is not held to our warnings.
$(OUT)/llhttp/%.o: /usr/share/llhttp/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 $(if $(filter fuzz,$(MODE)),$(CFLAGS_fuzz)) -fPIE -fstack-protector-strong -DLLHTTP_STRICT_MODE=1 $(INCLUDES_net) -c $< -o $@

$(OUT)/replay.o: tools/replay.c $(FLAGS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Isrc -MMD -MP -c $< -o $@
-include $(OUT)/replay.d

# ---- everything -----------------------------------------------------------------------------------
TESTS := $(foreach m,$(LIVE),$(TEST_$(m)))
tests: $(TESTS)
views: $(foreach m,$(LIVE),$(VIEW_$(m)))
setup:
	@tools/setup
test: setup
	@OUT=$(OUT) CC=$(CC) MODE=$(MODE) BUILD=$(BUILD) tools/run-tests $(TESTS)
demo: setup
	@$(MAKE) --no-print-directory all
	@KEEP=$(KEEP) demo/run
soak: setup
	@$(MAKE) --no-print-directory all
	@for s in tests/soak/*.sh; do echo "== $$s"; $$s || exit 1; done
bench: setup
	@$(MAKE) --no-print-directory all
	@bench/run
sim: $(OUT)/bin/ionet-sim
	@$< --seed $(or $(SEED),0) --seconds $(or $(T),0)
sim-mutants: $(OUT)/bin/ionet-sim
	@CC=$(CC) FLAGS='$(CFLAGS) $(LDFLAGS)' OBJECTS='$(OBJ_ionet-sim)' LIBS='$(BASE_ionet-sim) $(call libs,ionet-sim)' \
	  sim/mutate $(wildcard sim/mutants/$(or $(ONLY),*).patch)
fuzz:
	@tools/fuzz
fuzz-%:
	@tools/fuzz run $*
corpus-%:
	@tools/fuzz keep $*
check-pure: archives
	@tools/check-pure $(OUT)/lib $(PURE)
check-style: views archives
	@tools/check-style $(OUT)
flags-%: # what the sources of a module are compiled with: make flags-net
	@echo '$(filter-out -Werror,$(CFLAGS)) $(call includes,$*)'

.SECONDARY:
clean:
	rm -rf $(BUILD)/gcc-* $(BUILD)/clang-* $(BUILD)/bin
