# make            all programs, with $(CC)         make test        everything, closes with N passed, N failed
# make demo       the main job, start to end       make test-M      the tests of module M alone
# make check-style                                 make bench       figures, one line each
#
# V=1 shows the commands. CC=gcc (default) or clang-14;  MODE=release (default) or asan.
include src/layers.mk

ifeq ($(origin CC),default)
CC := gcc
endif
MODE ?= release
Q := $(if $(V),,@)
BUILD ?= build
OUT  := $(BUILD)/$(CC)-$(MODE)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes \
        -Wimplicit-fallthrough -Wswitch-enum -Werror
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_release := -Wl,-z,relro,-z,now
LDFLAGS_asan    := -fsanitize=address,undefined
CFLAGS  := -std=gnu17 -D_GNU_SOURCE -fPIE -fstack-protector-strong -fvisibility=hidden $(WARN) $(CFLAGS_$(MODE))
LDFLAGS := -pie $(LDFLAGS_$(MODE))

ALL  := $(MODULES) $(PROGRAMS)
LIVE := $(foreach m,$(ALL),$(if $(wildcard src/$(m)/*.c),$(m)))
# A module and all it stands on, topmost first, so that archives link in one pass.
deps  = $(1) $(foreach m,$(call reverse,$(MODULES)),$(if $(filter $(m),$(call closure,$(1))),$(m)))
closure = $(sort $($(1)) $(foreach m,$($(1)),$(call closure,$(m))))
reverse = $(if $(1),$(call reverse,$(wordlist 2,999,$(1))) $(firstword $(1)))
flags_of = $(if $(1),$(shell pkg-config --cflags $(1)))
libs_of  = $(if $(strip $(1)),$(shell pkg-config --libs $(1)))
archives = $(foreach m,$(filter $(LIVE),$(call deps,$(1))),$(OUT)/lib/$(m).a)
libs     = $(call libs_of,$(foreach m,$(call deps,$(1)),$(USES_$(m)))) $(foreach m,$(call deps,$(1)),$(LIBS_$(m))) -lpthread -ldl

.PHONY: all test check-style check-pure bench demo clean setup
all: $(foreach p,$(filter $(LIVE),$(PROGRAMS)),$(OUT)/bin/$(p)) $(foreach m,$(filter $(LIVE),$(MODULES)),$(OUT)/lib/$(m).a)
	@mkdir -p $(BUILD)/bin && for p in $(filter $(LIVE),$(PROGRAMS)); do ln -sf ../$(CC)-$(MODE)/bin/$$p $(BUILD)/bin/$$p; done

# ---- one module -----------------------------------------------------------------------------------
define module
SRC_$(1)  := $$(filter-out src/$(1)/test_% src/$(1)/fuzz_% src/$(1)/with_%,$$(wildcard src/$(1)/*.c))
OBJ_$(1)  := $$(SRC_$(1):src/%.c=$(OUT)/%.o)
WITH_$(1) := $$(patsubst src/%.c,$(OUT)/%.o,$$(wildcard src/$(1)/with_*.c))
TEST_$(1) := $$(patsubst src/$(1)/%.c,$(OUT)/test/$(1)/%,$$(wildcard src/$(1)/test_*.c))
VIEW_$(1) := $(OUT)/view/$(1)/.made
ifeq ($(1),net)
OBJ_net += $(OUT)/llhttp/api.o $(OUT)/llhttp/http.o $(OUT)/llhttp/llhttp.o
endif

$$(VIEW_$(1)): $$(foreach m,$$($(1)),$$(wildcard src/$$(m)/*.h)) src/layers.mk
	@rm -rf $$(@D) && mkdir -p $$(@D) && for m in $$($(1)); do mkdir -p $$(@D)/$$$$m; \
	  for h in src/$$$$m/*.h; do case $$$$h in *_int.h|*'*'*) ;; *) ln -sf $(CURDIR)/$$$$h $$(@D)/$$$$m/;; esac; done; done; touch $$@

$(OUT)/$(1)/%.o: src/$(1)/%.c $$(VIEW_$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) -I$(OUT)/view/$(1) $$(call flags_of,$$(USES_$(1))) $$(if $$(filter net,$(1)),-I/usr/share/include/llhttp) -MMD -MP -c $$< -o $$@

$(OUT)/lib/$(1).a: $$(OBJ_$(1))
	@mkdir -p $$(@D) && rm -f $$@
	@ar rcs $$@ $$^

# A test is linked with the module, its with_*.c (what several tests need), and for a program with all but main.
PART_$(1) := $$(WITH_$(1)) $(if $(filter $(1),$(PROGRAMS)),$$(filter-out %/main.o,$$(OBJ_$(1))))
$(OUT)/test/$(1)/%: $(OUT)/$(1)/%.o $$(PART_$(1)) $$(call archives,$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $$< $$(PART_$(1)) $(if $(filter $(1),$(PROGRAMS)),$$(filter-out %/lib/$(1).a,$$(call archives,$(1))),$$(call archives,$(1))) $$(call libs,$(1)) -lcmocka -o $$@

.PHONY: test-$(1)
test-$(1): $$(TEST_$(1))
	@for t in $$(TEST_$(1)); do echo "== $$$$t"; $$$$t || exit 1; done
-include $$(OBJ_$(1):.o=.d) $$(TEST_$(1):$(OUT)/test/$(1)/%=$(OUT)/$(1)/%.d)
endef
$(foreach m,$(ALL),$(eval $(call module,$(m))))

define program
$(OUT)/bin/$(1): $$(OBJ_$(1)) $$(call archives,$(1))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $$(OBJ_$(1)) $$(filter-out %/lib/$(1).a,$$(call archives,$(1))) $$(call libs,$(1)) -o $$@
endef
$(foreach p,$(filter $(LIVE),$(PROGRAMS)),$(eval $(call program,$(p))))

# Node's HTTP/1 parser comes from Debian as C source; it is not held to our warnings.
$(OUT)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -fPIE -fstack-protector-strong -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -c $< -o $@

.SECONDARY:
clean:
	rm -rf $(BUILD)/gcc-* $(BUILD)/clang-* $(BUILD)/bin
