# sluice: one Makefile, no recursion. `make help` lists what it can do.
#
# A layer is a folder and a static library; a program links only the layers
# below it, so a wrong include direction fails the build (and `make tidy`
# names it). Sources are found by folder: adding a file needs no edit here.

VERSION  := 0.1.0
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
V        ?= 0
# DEV=1: warnings are errors. SAN=address,undefined: sanitizers.
DEV      ?= 0
SAN      ?=

comma := ,
Q := $(if $(filter 0,$(V)),@,)
say = $(if $(filter 0,$(V)),@printf '  %-6s %s\n' '$(1)' '$(2)',)

PKG_CONFIG ?= pkg-config
OBJCOPY ?= objcopy
# msgpack-c is called `msgpack` up to 5.x and `msgpack-c` from 6.0 on.
MSGPACK_PC := $(shell $(PKG_CONFIG) --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)

pc_cflags = $(shell $(PKG_CONFIG) --cflags $(1) 2>/dev/null)
pc_libs   = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)

PC_PROTO   := $(MSGPACK_PC)
PC_SHELL   := libzmq libczmq libsystemd libsodium sqlite3 $(PC_PROTO)
PC_STORE   := sqlite3
PC_CLI      = libsodium $(PC_STORE) $(PC_RUNTIME)
PC_RUNTIME := libzmq libuv libcurl jansson $(PC_PROTO)
PC_RETRIEVER := sqlite3 zlib libxml-2.0
PC_TOOL      := libxml-2.0

OPT      ?= -O2
CFLAGS   ?= $(OPT) -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Werror=implicit-function-declaration -Wpointer-arith -Wvla -Wno-unused-parameter
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -fno-strict-aliasing -fPIC -fvisibility=hidden \
             -DSLUICE_VERSION='"$(VERSION)"' $(WARNINGS) $(CFLAGS) \
             $(if $(filter 1,$(DEV)),-Werror) \
             $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_LDFLAGS = $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))

# The broker and the command line are optimised as a whole when they are linked: the core alone is
# a fifth faster. Objects serve both kinds of links. LTO=0: not; nor with clang or sanitizers.
LTO      ?= $(if $(SAN)$(findstring clang,$(CC)),0,1)
FAT       = $(if $(filter 1,$(LTO)),-flto=auto -ffat-lto-objects $(STRINGS))
# What gcc copies and clears inline with `rep` instructions on x86 (a message is 400 bytes, and
# they take long to begin), libc does faster: the core by a fourteenth.
STRINGS  := $(if $(findstring x86_64,$(shell $(CC) -dumpmachine 2>/dev/null)),\
              $(addsuffix =libcall:-1:noalign,-mmemcpy-strategy -mmemset-strategy))
# Nor are neighbouring fields worth joining for one load: what was stored a moment ago field by field
# cannot be forwarded to it. Tasks a second: 3 % more.
STRINGS  += $(if $(findstring clang,$(CC)),,-fno-tree-slp-vectorize)
THIN      = $(if $(filter 1,$(LTO)),-fno-lto)

# ---------------------------------------------------------------- layers

# json.c bridges MessagePack and JSON, chain.c hashes: the files of common/ that need libraries.
SRC_common  := $(sort $(filter-out common/json.c common/chain.c,$(wildcard common/*.c)))
SRC_json    := common/json.c
SRC_chain   := common/chain.c
SRC_proto   := $(sort $(wildcard proto/*.c))
SRC_core    := $(sort $(wildcard broker/core/*.c))
# The store's database is also what `sluice store` looks at, without a broker.
SRC_store   := $(sort $(wildcard broker/shell/store_*.c))
SRC_shell   := $(sort $(filter-out broker/shell/main.c $(SRC_store),$(wildcard broker/shell/*.c)))
SRC_sluice  := $(sort $(wildcard agents/runtime/*.c))
SRC_program := $(sort $(wildcard agents/program/*.c))
SRC_retriever := $(sort $(wildcard agents/retriever/*.c))
SRC_tool      := $(sort $(wildcard agents/tool/*.c))
SRC_analysis  := $(sort $(wildcard agents/analysis/*.c))
SRC_research  := $(sort $(wildcard agents/research/*.c))
SRC_cron      := $(sort $(wildcard agents/cron/*.c))
SRC_cli       := $(sort $(wildcard cli/*.c cli/store/*.c cli/crowd/*.c))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
lib = $(BUILD)/lib/lib$(1).a

LAYERS := common json chain proto core store shell sluice program
# An agent's program is its folder; everything but main.c is also a library,
# so that its unit tests link what they test.
AGENTS := retriever tool analysis research cron

PROGRAMS := sluice-broker sluice $(addprefix sluice-,$(AGENTS)) sluice-bench-proxy \
            sluice-bench-retrieval sluice-bench-core
BINARIES := $(addprefix $(BUILD)/bin/,$(PROGRAMS))
# Each of agents/examples is one program, but for what they share.
EXAMPLES := $(patsubst agents/examples/%.c,$(BUILD)/examples/%,\
              $(filter-out agents/examples/example.c,$(sort $(wildcard agents/examples/*.c))))

.DEFAULT_GOAL := all
.PHONY: all
all: $(BINARIES) $(EXAMPLES) ## build every program into build/bin, the examples into build/examples

define layer_rule
$(call lib,$(1)): $(call obj,$(SRC_$(1)))
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

define agent_rule
$(call lib,$(1)): $(call obj,$(filter-out agents/$(1)/main.c,$(SRC_$(1))))
$(BUILD)/bin/sluice-$(1): $(call obj,agents/$(1)/main.c) $(call lib,$(1)) $(call lib,program) $(LIBS_RUNTIME)
endef

LIBS_RUNTIME := $(foreach l,sluice json proto common,$(call lib,$(l)))
LIBS_BROKER  := $(foreach l,shell store core proto chain common,$(call lib,$(l)))
LIBS_CORE    := $(foreach l,core proto common,$(call lib,$(l)))
$(foreach a,$(AGENTS),$(eval $(call agent_rule,$(a))))
# Everything but main.c, for the unit tests and the benchmark's floor.
$(call lib,cli): $(call obj,$(filter-out cli/main.c,$(SRC_cli)))

$(BUILD)/lib/lib%.a:
	$(call say,AR,$@)
	@mkdir -p $(@D) && rm -f $@
	$(Q)$(AR) rcs $@ $^

# A program names its libraries as LINK; objects and archives come from its rule.
$(BUILD)/bin/sluice-broker: LINK = $(call pc_libs,$(PC_SHELL))
$(BUILD)/bin/sluice-broker: $(call obj,broker/shell/main.c) $(LIBS_BROKER)
$(BUILD)/bin/sluice: LINK = $(call pc_libs,$(PC_CLI)) -lm
$(BUILD)/bin/sluice: $(call obj,cli/main.c) $(call lib,cli) $(call lib,chain) $(call lib,store) $(LIBS_RUNTIME)
$(BUILD)/bin/sluice-retriever: LINK = $(call pc_libs,$(PC_RETRIEVER) $(PC_RUNTIME)) -lm
$(BUILD)/bin/sluice-tool: LINK = $(call pc_libs,$(PC_TOOL) $(PC_RUNTIME)) -lm
$(addprefix $(BUILD)/bin/sluice-,analysis research cron): LINK = $(call pc_libs,$(PC_RUNTIME)) -lm
$(BUILD)/bin/sluice-bench-proxy: LINK = $(call pc_libs,libzmq) -lm
$(BUILD)/bin/sluice-bench-proxy: $(call obj,$(addprefix tests/bench/,proxy.c echo_rival.c children.c)) $(call lib,cli) $(call lib,common)
$(BUILD)/bin/sluice-bench-retrieval: LINK = $(call pc_libs,$(PC_RETRIEVER) libuv) -lm
$(BUILD)/bin/sluice-bench-retrieval: $(call obj,tests/bench/retrieval.c) $(call lib,retriever) $(call lib,common)
# The core alone, linked as the broker is; what asks the heap for something is counted.
$(BUILD)/bin/sluice-bench-core: LINK = $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc aligned_alloc free)
$(BUILD)/bin/sluice-bench-core: $(call obj,$(addprefix tests/bench/,core.c core_world.c core_worker.c core_load.c core_codec.c heap_calls.c)) \
                                $(call lib,cli) $(LIBS_CORE)

$(call obj,tests/bench/core.c): CFLAGS += -DBUILT_WITH='"$(OPT) LTO=$(LTO)$(addprefix  SAN=,$(SAN))"'

# Other brokers, for `make bench-peers`: not part of `all`, for their libraries need not be here.
# A rival's library is what PC_RIVAL_ says of it; nothing: it needs none.
RIVALS_DURABLE   := jetstream rabbitmq
RIVALS_ECHO      := nats redis rabbitmq gearman beanstalk
RIVALS           := $(RIVALS_DURABLE) $(addprefix echo-,$(RIVALS_ECHO))
PC_RIVAL_jetstream     := libnats
PC_RIVAL_rabbitmq      := librabbitmq
PC_RIVAL_echo-nats     := libnats
PC_RIVAL_echo-redis    := hiredis
PC_RIVAL_echo-rabbitmq := librabbitmq
PC_RIVAL_echo-gearman   = $(call pc_here,gearmand libgearman)
SRC_RIVAL_rabbitmq      := rabbitmq_link.c
SRC_RIVAL_echo-rabbitmq := rabbitmq_link.c

# Of the names in $(1) that stand for one library, the one that is here; else the first.
pc_here = $(or $(firstword $(foreach n,$(1),$(shell $(PKG_CONFIG) --exists $(n) 2>/dev/null && echo $(n)))),$(firstword $(1)))

define rival_rule
$(call obj,$(addprefix tests/bench/,$(firstword $(2)) $(SRC_RIVAL_$(1)))): INCLUDES += $$(call pc_cflags,$$(PC_RIVAL_$(1)))
$(BUILD)/bin/sluice-bench-$(1): LINK = $$(call pc_libs,$$(PC_RIVAL_$(1))) -lm
$(BUILD)/bin/sluice-bench-$(1): $(call obj,$(addprefix tests/bench/,$(2) children.c $(SRC_RIVAL_$(1)))) $(call lib,cli) $(call lib,common)
endef
$(foreach r,$(RIVALS_DURABLE),$(eval $(call rival_rule,$(r),rival_$(r).c rival.c)))
$(foreach r,$(RIVALS_ECHO),$(eval $(call rival_rule,echo-$(r),echo_$(r).c echo_rival.c)))
RIVAL_PROGRAMS := $(addprefix $(BUILD)/bin/sluice-bench-,$(RIVALS))
RIVALS_BUILT    = $(foreach r,$(RIVALS),$(if $(if $(PC_RIVAL_$(r)),$(shell $(PKG_CONFIG) --exists \
                    $(PC_RIVAL_$(r)) 2>/dev/null && echo 1),1),$(BUILD)/bin/sluice-bench-$(r)))

$(BINARIES) $(RIVAL_PROGRAMS): WHOLE = $(THIN)
$(addprefix $(BUILD)/bin/,sluice-broker sluice sluice-bench-core): WHOLE = $(if $(filter 1,$(LTO)),-flto=auto $(CFLAGS))
$(BINARIES) $(RIVAL_PROGRAMS):
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(WHOLE) -o $@ $^ $(LINK) -lpthread

.SECONDARY: $(call obj,$(wildcard agents/examples/*.c))
$(BUILD)/examples/%: $(call obj,agents/examples/%.c agents/examples/example.c) $(call lib,program) $(LIBS_RUNTIME)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(THIN) -o $@ $^ $(call pc_libs,$(PC_RUNTIME)) -lm -lpthread

INCLUDES := $(call pc_cflags,libzmq libczmq libsodium libuv libcurl jansson sqlite3 libxml-2.0 $(MSGPACK_PC))

$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(FAT) $(INCLUDES) -MMD -MP -c -o $@ $<

# For programs of others: the runtime as one library that shows nothing but
# what sluice.h declares, so that its inner names cannot clash with theirs.
PKG_OBJECTS := $(call obj,$(SRC_sluice) $(SRC_json) $(SRC_proto) $(SRC_common))
PKG_LIBS    := $(BUILD)/pkg/libsluice.so $(BUILD)/pkg/libsluice.a
OBJCOPY     ?= objcopy

$(BUILD)/pkg/libsluice.so: $(PKG_OBJECTS)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(THIN) -shared -Wl,-soname,libsluice.so.0 -Wl,--no-undefined -o $@ $^ \
	    $(call pc_libs,$(PC_RUNTIME)) -lm -lpthread

$(BUILD)/pkg/libsluice.a: $(PKG_OBJECTS)
	$(call say,AR,$@)
	@mkdir -p $(@D) && rm -f $@
	$(Q)$(LD) -r -o $(@D)/sluice.o $^
	$(Q)$(OBJCOPY) --localize-hidden --remove-section='.gnu.lto_*' $(@D)/sluice.o
	$(Q)$(AR) rcs $@ $(@D)/sluice.o

# ----------------------------------------------------------------- tests

# unit and spec tests of the core link the core alone: neither zmq, nor
# sqlite, nor msgpack is on the command line. A test says what more it needs
# in a line `/* links: NAME... */`, NAME being a library of this file.
TESTS_UNIT := $(sort $(wildcard tests/unit/test_*.c))
TESTS_SPEC := $(sort $(wildcard tests/spec/test_*.c))
# Peers in C that the system tests start.
TESTS_SYSTEM := $(sort $(wildcard tests/system/*.c))
# Workers, submitters and the proxy of the chaos run.
TESTS_CHAOS := $(sort $(wildcard tests/chaos/*.c))
TEST_BINS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TESTS_UNIT) $(TESTS_SPEC) $(TESTS_SYSTEM) $(TESTS_CHAOS))
TEST_LIB   := $(sort $(wildcard tests/lib/*.c))
SPEC_LIB   := $(addprefix tests/spec/,fixture.c trace.c)

# codec: the core tests do not get it. runtime: the whole agent side.
LINK_core      := $(LIBS_CORE)
# What the core allocates with goes through the test, which lets some of it fail.
LINK_failing   := $(addprefix -Wl$(comma)--wrap=,memory_new table_init pool_get blob_new)
LINK_codec     := $(foreach l,proto common,$(call lib,$(l)))
LINK_json      := $(foreach l,json proto common,$(call lib,$(l))) $(call pc_libs,$(MSGPACK_PC) jansson)
LINK_fuzz_core := $(call lib,fuzz_core)
# The store's disk and its thread's sleep are the test's.
LINK_disk      := $(addprefix -Wl$(comma)--wrap=,open link rename unlink access stat fsync) \
                  -Wl,--undefined=__wrap_open $(call lib,disk)
# Sending a frame is interrupted by the test.
LINK_interrupted := -Wl,--wrap=zmq_msg_send
# What the runtime allocates with goes through the test, which lets some of it fail.
LINK_starved   := $(addprefix -Wl$(comma)--wrap=,malloc calloc)
LINK_nap       := $(addprefix -Wl$(comma)--wrap=pthread_cond_,wait timedwait signal) $(call lib,nap)
LINK_store_world := $(call lib,store_world)
LINK_durable_world := $(call lib,durable_world)
LINK_meaning   := $(call lib,meaning)
LINK_shell     := $(LIBS_BROKER) $(call pc_libs,$(PC_SHELL))
LINK_runtime   := $(LIBS_RUNTIME) $(call pc_libs,$(PC_RUNTIME))
LINK_cli       := $(call lib,cli) $(call lib,chain) $(call lib,store) $(LINK_runtime) $(call pc_libs,libsodium $(PC_STORE))
LINK_retriever := $(call lib,retriever) $(LINK_runtime) $(call pc_libs,$(PC_RETRIEVER))
LINK_tool      := $(call lib,tool) $(LINK_runtime) $(call pc_libs,$(PC_TOOL))
LINK_analysis  := $(call lib,analysis) $(LINK_runtime)
LINK_research  := $(call lib,research) $(LINK_runtime)
LINK_cron      := $(call lib,cron) $(LINK_runtime)
$(call lib,meaning): $(call obj,tests/unit/meaning.c)
$(call lib,fuzz_core): $(call obj,tests/fuzz/fuzz_core.c)
$(call lib,disk): $(call obj,$(addprefix tests/unit/,disk.c disk_vfs.c disk_posix.c))
$(call lib,nap): $(call obj,tests/unit/nap.c)
$(call lib,store_world): $(call obj,tests/unit/store_world.c)
$(call lib,durable_world): $(call obj,tests/spec/durable_world.c)
# $(1): source. Default for unit and spec: the core.
test_links = $(or $(shell sed -n 's,^/\* links: \(.*\) \*/$$,\1,p' $(1)),core)

define test_rule
$(BUILD)/tests/$(1): TEST_LINK = $(foreach n,$(call test_links,tests/$(1).c),$(LINK_$(n)))
$(BUILD)/tests/$(1): $(call obj,tests/$(1).c $(TEST_LIB)) \
  $(if $(filter spec/%,$(1)),$(call obj,$(SPEC_LIB))) \
  $(filter %.a,$(foreach n,$(call test_links,tests/$(1).c),$(LINK_$(n))))
	$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(THIN) -o $$@ $$(filter %.o,$$^) $$(TEST_LINK) $(call pc_libs,cmocka) -lm -lpthread
endef
$(foreach t,$(patsubst tests/%.c,%,$(TESTS_UNIT) $(TESTS_SPEC) $(TESTS_SYSTEM) $(TESTS_CHAOS)),$(eval $(call test_rule,$(t))))

# -------------------------------------------------------------- fuzzing

# libFuzzer needs clang: the layers are built once more, instrumented, in a tree of
# their own. A harness says what it links as a test does. See docs/testing.md.
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_DIR ?= $(BUILD)/fuzz
FUZZ_CC  ?= clang

define fuzz_rule
$(FUZZ_DIR)/$(1): TEST_LINK = $(foreach n,$(call test_links,tests/fuzz/fuzz_$(1).c),$(LINK_$(n)))
$(FUZZ_DIR)/$(1): $(call obj,tests/fuzz/fuzz_$(1).c) \
  $(filter %.a,$(foreach n,$(call test_links,tests/fuzz/fuzz_$(1).c),$(LINK_$(n))))
	$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(THIN) -fsanitize=fuzzer -o $$@ $$(filter %.o,$$^) $$(TEST_LINK) -lm -lpthread
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz fuzz-build fuzz-programs
fuzz-programs: $(addprefix $(FUZZ_DIR)/,$(FUZZERS))
fuzz-build: ## build the fuzzers into build/fuzz; `build/fuzz/NAME FILE` runs one input
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) CC=$(FUZZ_CC) BUILD=$(BUILD)/fuzz/tree \
	    FUZZ_DIR=$(BUILD)/fuzz OPT='-O1 -fsanitize=fuzzer-no-link' SAN=address,undefined fuzz-programs

fuzz: fuzz-build ## run every fuzzer for SECONDS=n (60); a finding fails, and names its input
	$(Q)BUILD=$(BUILD) tests/fuzz/run --seconds $(or $(SECONDS),60)

.PHONY: deps test check tidy bench demo install clean help tests-build
deps:
	@deploy/deps.sh --check build || deploy/deps.sh build

# For programs of any kind: without sanitizers.
$(BUILD)/tests/system/failing_disk.so: tests/system/preload/failing_disk.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 -fPIC -shared -o $@ $< -ldl

tests-build: tests-stale $(TEST_BINS) $(BUILD)/tests/system/failing_disk.so $(PKG_LIBS) all

# A test whose source is gone must not go on passing.
.PHONY: tests-stale tests-build check-system
tests-stale:
	$(Q)rm -f $(filter-out $(TEST_BINS),$(wildcard $(BUILD)/tests/unit/* $(BUILD)/tests/spec/*))

test: ## install what is missing, build, run every test
	@deploy/deps.sh --check test || deploy/deps.sh test
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) tests-build
	$(Q)BUILD=$(BUILD) tests/run unit spec tidy system

check: ## unit and spec tests under address and undefined sanitizers: the inner loop
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan DEV=1 SAN=address,undefined OPT=-O1 \
	    tests-stale $(patsubst $(BUILD)/%,$(BUILD)/asan/%,$(TEST_BINS))
	$(Q)BUILD=$(BUILD)/asan tests/run unit spec

check-system: ## the system tests with every program under the sanitizers
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan DEV=1 SAN=address,undefined OPT=-O1 tests-build
	$(Q)BUILD=$(BUILD)/asan SLUICE_SLOW=4 tests/run unit spec system

tidy: $(LIBS_CORE) ## check the layers, the headers and the forbidden calls
	$(Q)BUILD=$(BUILD) tests/tidy/tidy

# TASKS, SEED, WORKER_KILLS, BROKER_KILLS: what `make chaos` is told.
TASKS        ?= 100000
WORKER_KILLS ?= 200
BROKER_KILLS ?= 50
.PHONY: chaos
chaos: ## real processes, killed, stopped and cut off: every task has exactly one outcome
	@deploy/deps.sh --check test || deploy/deps.sh test
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(patsubst tests/%.c,$(BUILD)/tests/%,$(TESTS_CHAOS))
	$(Q)BUILD=$(BUILD) tests/chaos/run --tasks $(TASKS) --worker-kills $(WORKER_KILLS) \
	    --broker-kills $(BROKER_KILLS) $(if $(SEED),--seed $(SEED))

bench: ## echo, gather and the zmq_proxy floor in one run, with ratios
	@deploy/deps.sh --check floor || deploy/deps.sh floor
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)BUILD=$(BUILD) tests/bench/run

.PHONY: bench-report
bench-report: ## measures what docs/benchmarks.md shows, and draws it: CHAPTERS="payload depth" some of it
	@deploy/deps.sh --check report || deploy/deps.sh report
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)BUILD=$(BUILD) tests/bench/report

.PHONY: bench-peers
bench-peers: ## echo, an open loop and durable tasks (SHAPE=), and the same on other brokers, with ratios
	@deploy/deps.sh --check floor || deploy/deps.sh floor
	@deploy/deps.sh --check bench || \
	    echo "bench-peers: not all other brokers are here; deploy/deps.sh bench installs them" >&2
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(RIVALS_BUILT)
	$(Q)BUILD=$(BUILD) tests/bench/peers

.PHONY: bench-guard
bench-guard: ## instructions that a task costs core and codec: at most 3 % more than recorded; RECORD=1 records
	@deploy/deps.sh --check guard || deploy/deps.sh guard
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/bin/sluice-bench-core
	$(Q)BUILD=$(BUILD) tests/bench/guard $(if $(filter 1,$(RECORD)),--record)

demo: ## install what is missing, build, and let a cluster answer three questions
	@deploy/deps.sh --check build || deploy/deps.sh build
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)BUILD=$(BUILD) deploy/demo.sh

install: all $(PKG_LIBS) ## install programs, libsluice, sluice.h and sluice.pc under PREFIX
	$(Q)BUILD='$(BUILD)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' VERSION=$(VERSION) deploy/install.sh

clean: ## remove what was built
	$(Q)rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

# ------------------------------------------------------------- simulation

# The broker's core and the runtime's peer machine meet in one process here, and both have
# a peer_send: the core goes in as one object that shows only broker_*.
# build/sim: as users run it. build/sim-alt: other optimisation, other allocator
# (ASan's); the same seeds must hash the same. build/sim-mutants: faults compiled in.
SIM_SRC    := $(sort $(wildcard tests/sim/*.c)) tests/lib/shelf.c
SIM_PURE   := $(addprefix agents/runtime/,id_map.c lease.c numbering.c offering.c peer.c reading.c request.c session.c submission.c submission_receive.c terms.c timers.c watching.c window.c)

$(BUILD)/sim/core.o: $(call obj,$(SRC_core))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LD) -r -o $@ $^ && $(OBJCOPY) --wildcard --keep-global-symbol='broker_*' $@

$(BUILD)/sim/sim: $(call obj,$(SIM_SRC)) $(BUILD)/sim/core.o $(call obj,$(filter $(SIM_PURE),$(SRC_sluice))) \
                  $(call lib,proto) $(call lib,common)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(THIN) -o $@ $^ -lpthread

# The same with faults compiled in, and the other build of each pair.
SIM_FLAGS_mutants := BUILD=$(BUILD)/mutants CFLAGS='-O2 -g -DSLUICE_MUTANTS'
SIM_FLAGS_alt     := BUILD=$(BUILD)/alt SAN=address,undefined OPT=-O1

.PHONY: sim sim-mutants
SECONDS ?= 60
SEED    ?=
sim: ## simulate: SEED=n replays one world, SECONDS=n runs new ones on both cores
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/sim/sim
ifneq ($(SEED),)
	$(Q)$(BUILD)/sim/sim --seed $(SEED) --trace $(SIM)
else
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(SIM_FLAGS_alt) $(BUILD)/alt/sim/sim
	$(Q)$(BUILD)/sim/sim --seeds tests/sim/seeds/seeds.txt
	$(Q)$(BUILD)/sim/sim --seconds $(SECONDS) --jobs $$(nproc) --pair $(BUILD)/alt/sim/sim $(SIM)
endif

sim-mutants: ## break the core in every known way; the simulation must notice
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(SIM_FLAGS_mutants) $(BUILD)/mutants/sim/sim
	$(Q)$(BUILD)/mutants/sim/sim --mutants --seconds $(SECONDS) --jobs $$(nproc)

# ---------------------------------------------------------------- coverage

# Which branches of the core do its tests take? Built once more, for gcov. A test that links
# nothing of the core has nothing to say here, and is not built.
COVERAGE_TESTS := $(foreach t,$(TESTS_UNIT) $(TESTS_SPEC),$(if $(filter core,$(call test_links,$(t))),$(t)))

.PHONY: coverage coverage-programs
coverage-programs: tests-stale $(patsubst tests/%.c,$(BUILD)/tests/%,$(COVERAGE_TESTS)) $(BUILD)/sim/sim
coverage: ## the branches of broker/core that unit, spec and sim take: at least 95 %
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/coverage OPT='-O0 --coverage' \
	    LDFLAGS=--coverage coverage-programs
	$(Q)BUILD=$(BUILD)/coverage tests/coverage/coverage $(COVERAGE)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
