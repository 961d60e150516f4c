# charter-milter: what can be done with this tree. `make` alone lists it.
#
# Everything works from a fresh clone on Debian 12 with Rust at hand; what else is needed is installed from Debian's packages
# by tests/install-packages, and only where it is missing.

CARGO     ?= cargo
PREFIX    ?= /usr/local
DOC       := $(PREFIX)/share/doc/charter-milter
PROGRAM   := target/release/charter-milter
TOOLS     := target/tools
CARGO_DENY_VERSION := 0.20.2
# Of `make fuzz`; 0 stands for new dice.
SEED      ?= 0

# A private Postfix can only be started by root, so what starts one runs through sudo where we are somebody else.
ifneq ($(shell id -u),0)
SUDO := sudo -E
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER := $(SUDO)
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER := $(SUDO)
endif

.PHONY: help run build test check fmt clippy deny bench fuzz differential eval install

help:
	@echo 'make run      a private Postfix with charter-milter in front, on loopback, and some telling messages'
	@echo '              (make run DEMO_ARGS=--once ends after the messages)'
	@echo 'make build    the optimised program, target/release/charter-milter'
	@echo 'make test     every test, with real mail servers (through sudo where we are not root: Postfix needs it)'
	@echo 'make fuzz     the fuzz targets alone (make fuzz SECONDS=900 for longer; make test gives each a minute)'
	@echo 'make differential  mail beside three other readers alone'
	@echo 'make check    formatting, lints, licences and sources of the dependencies'
	@echo 'make bench    speed and memory, beside a milter that does nothing'
	@echo 'make eval     how well petitions and copies are recognised, on the corpus'
	@echo 'make install  program, units, documentation and example configuration under PREFIX ($(PREFIX))'

run:
	tests/install-packages mta
	$(CARGO) build --bin charter-milter --example demo
	$(SUDO) target/debug/examples/demo $(DEMO_ARGS)

build:
	$(CARGO) build --release --bin charter-milter

# Messages that cannot be had, a reader that is missing, a crash while fuzzing: all of it fails.
test:
	tests/install-packages
	tests/differential/corpus.sh
	$(CARGO) test
	tests/fuzz/run $(SECONDS)

check: fmt clippy deny

fmt:
	$(CARGO) fmt --check

clippy:
	$(CARGO) clippy --all-targets -- -D warnings

deny: $(TOOLS)/bin/cargo-deny
	$(TOOLS)/bin/cargo-deny --all-features check licenses bans sources

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install --locked --version $(CARGO_DENY_VERSION) cargo-deny --root $(TOOLS)

bench:
	tests/install-packages mta
	$(CARGO) bench --bench gateway -- $(BENCH_ARGS)
	$(CARGO) bench --bench petition
	$(CARGO) bench --bench log
	$(CARGO) bench --bench mime

# Every target for so long, as many at once as there are cores.
SECONDS ?= 60
fuzz:
	tests/install-packages fuzz
	SEED=$(SEED) tests/fuzz/run $(SECONDS)

differential:
	tests/install-packages readers
	tests/differential/corpus.sh
	$(CARGO) test --test suite differential:: -- --nocapture

eval:
	$(CARGO) run --release --example eval -- $(EVAL_ARGS)

# The units name /usr/bin; they are installed with the prefix that the program really has.
install: build
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/charter-milter
	install -d -m 755 $(DESTDIR)$(DOC)/charters $(DESTDIR)$(PREFIX)/lib/systemd/system/charter-milter.service.d \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/charter-milter.socket.d \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 README.md docs/*.md conf/charter-milter.toml conf/sendmail.m4 $(DESTDIR)$(DOC)/
	install -m 644 conf/charters/*.toml $(DESTDIR)$(DOC)/charters/
	for unit in systemd/*.service systemd/*.socket systemd/*.timer; do \
		sed 's,/usr/bin/,$(PREFIX)/bin/,' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit#systemd/} || exit 1; done
	for unit in service socket; do install -m 644 systemd/charter-milter.$$unit.d/* \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/charter-milter.$$unit.d/ || exit 1; done
	$(PROGRAM) manual $(DESTDIR)$(PREFIX)/share/man/man1
	$(PROGRAM) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/charter-milter
