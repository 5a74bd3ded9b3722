# Every command of the project. Start with: make run

GO        ?= go
BIN       := $(CURDIR)/bin
MODULES   := proto pkg services tools
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Generators and linters, pinned. Each is built in a module graph of its own, so that none raises the project's versions.
TOOLS := \
	google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 \
	google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2 \
	github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.33.0 \
	github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2@v2.33.0 \
	github.com/bufbuild/buf/cmd/buf@v1.75.0 \
	github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 \
	github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 \
	github.com/a-h/templ/cmd/templ@v0.3.1118
TOOLS_STAMP := $(BIN)/.tools-$(shell echo '$(TOOLS)' | cksum | cut -d' ' -f1)

# The race detector needs a C compiler.
RACE := $(shell command -v cc >/dev/null 2>&1 && echo -race)

# With -trimpath, tests share what is compiled with make build, and with other clones.
GO_TEST := $(GO) test -timeout 45m -trimpath
# These run the program in processes of its own: the race detector would see the tests themselves only, and take most of the time.
E2E_TESTS := ./tools/e2e
# Tests that wait for processes more than they compute begin first, beside the others.
LONG_TESTS := ./tools/kafka ./tools/browser ./pkg/pubsub
TEST_PROCS := $(shell getconf _NPROCESSORS_ONLN)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and start everything, and tell a short story by mail and chat
	@bin/skein up --demo

.PHONY: build
build: ## Build bin/skein
	@echo "Building bin/skein (the first time downloads and compiles some 800 packages, for a few minutes) ..."
	@$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(BIN)/skein ./services/cmd/skein

.PHONY: test
test: $(BIN)/kafka $(BIN)/grpcurl ## Run all tests, those of the log on a real Kafka too (SKEIN_REQUIRE=all fails where something they need is missing)
	@$(if $(RACE),,echo "No C compiler: the tests run without the race detector.")
	@echo "Building and running the tests of all modules (the first time compiles for a few minutes) ..."
	@$(GO) test -count=1 ./tools/importrules # it reads what the test cache does not see
	$(BIN)/kafka exec -- sh -c 'all=$$($(GO) list work) || exit; \
		$(GO_TEST) $(E2E_TESTS) & e2e=$$!; \
		$(GO_TEST) -p $(TEST_PROCS) $(RACE) $(LONG_TESTS) $$(echo "$$all" | grep -v /tools/e2e$$); others=$$?; \
		wait $$e2e && exit $$others'

.PHONY: bench
bench: build ## Measure it beside its ceilings and peers: docs/benchmarks.md (GROWTH=10000000, ONLY=ingest,fold, BENCHFLAGS="-rows 10000000"; three quarters of an hour)
	@$(GO) build -o $(BIN)/bench ./tools/cmd/bench
	@$(BIN)/bench -skein $(BIN)/skein -growth $(or $(GROWTH),0) -only "$(ONLY)" $(BENCHFLAGS)

.PHONY: simulate
simulate: ## Play a simulated day to a running skein and compare what it tells (SIMULATE="--agents 60 --queues 6 --contacts 3000 --speed 0 --check 200 --skein bin/skein")
	@$(GO) build -o $(BIN)/simulate ./tools/cmd/simulate
	@$(BIN)/simulate $(or $(SIMULATE),--check 1000)

.PHONY: check
check: lint proto-check generate-check ## Lint, and prove that generated code is fresh and the protos break nobody

.PHONY: lint
lint: $(TOOLS_STAMP) ## Run the linter on every module
	@for m in $(MODULES); do echo "lint $$m"; (cd $$m && $(BIN)/golangci-lint run --allow-parallel-runners ./...) || exit 1; done

.PHONY: proto-check
proto-check: $(TOOLS_STAMP) ## Lint the protos and compare them with the last release
	cd proto && $(BIN)/buf lint && $(BIN)/buf format --diff --exit-code
	cd proto && $(BIN)/buf build --exclude-source-info -o - | $(BIN)/buf breaking - --against released.binpb

.PHONY: proto-release
proto-release: $(TOOLS_STAMP) ## Make the protos of now the ones that nothing may break
	cd proto && $(BIN)/buf build --exclude-source-info -o released.binpb

GENERATED := '*_templ.go' '*.pb.go' '*.pb.gw.go' '*_gen.go' docs/events.md docs/skein.swagger.json docs/metrics.md deploy/grafana/dashboards

.PHONY: generate
generate: $(TOOLS_STAMP) ## Write the generated code and docs again
	cd proto && PATH=$(BIN):$$PATH $(BIN)/buf generate
	$(BIN)/templ fmt -log-level error services/console
	$(BIN)/templ generate -log-level error -path services/console
	$(GO) run ./tools/cmd/eventtypes
	$(GO) run ./tools/cmd/analyticsdocs
	$(GO) run ./tools/cmd/dashboards

.PHONY: generate-check
generate-check: generate ## Prove that generated code and docs are fresh
	@test -z "$$(git status --porcelain -- $(GENERATED))" || \
		{ git status --short -- $(GENERATED); echo "Generated files are stale: commit what make generate wrote."; exit 1; }

.PHONY: vendored
vendored: ## Prove that the console's libraries are what npm has (RENEW=1 fetches the versions of services/console/assets/vendor/SOURCES.txt)
	@tools/vendored.sh $(if $(RENEW),renew)

.PHONY: pictures
pictures: chromium ## Draw the pictures of the docs anew, in Chromium on the demonstration
	@fc-list | grep -q NotoSansCJK && fc-list | grep -q NotoColorEmoji || { echo "Installing fonts ..."; apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends fonts-noto-cjk fonts-noto-color-emoji; }
	@$(GO) test -count=1 ./tools/browser -run 'TestPictures$$' -pictures $(CURDIR)/docs/images

.PHONY: tools
tools: $(TOOLS_STAMP) ## Install the pinned generators, linters and grpcurl into bin/

$(TOOLS_STAMP):
	@mkdir -p $(BIN)
	@for t in $(TOOLS); do echo "Installing $$t ..."; GOBIN=$(BIN) GOWORK=off GOFLAGS= $(GO) install $$t || exit 1; done
	@rm -f $(BIN)/.tools-* && touch $@

.PHONY: chromium
chromium: ## Install Chromium for the browser tests (Debian, as root)
	@command -v chromium >/dev/null || { echo "Installing Chromium ..."; apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium; }

# A cluster is a directory; another one is another KAFKA_DIR.
KAFKA_DIR ?= .kafka
BROKERS   ?= 1
HEAP      ?= 512m

.PHONY: kafka-up
kafka-up: $(BIN)/kafka ## Start a real Kafka on this machine (BROKERS=3, HEAP=1g, SECURE=1), for skein up --kafka
	@$(BIN)/kafka up -dir $(KAFKA_DIR) -brokers $(BROKERS) -heap $(HEAP) $(if $(SECURE),-secure)

.PHONY: kafka-down
kafka-down: $(BIN)/kafka ## Stop it; what it holds stays in .kafka/
	@$(BIN)/kafka down -dir $(KAFKA_DIR)

.PHONY: $(BIN)/kafka
$(BIN)/kafka:
	@$(GO) build -o $@ ./tools/cmd/kafka

# The examples of the guides need it; so does whoever reads them.
$(BIN)/grpcurl:
	@mkdir -p $(BIN)
	@GOBIN=$(BIN) GOWORK=off GOFLAGS= $(GO) install $(foreach t,$(TOOLS),$(if $(findstring /grpcurl@,$(t)),$(t)))

.PHONY: clickhouse
clickhouse: build ## Fetch the ClickHouse engine, which skein up and the tests else fetch when they need it (180 MB, through npm)
	@$(BIN)/skein clickhouse fetch

.PHONY: java
java: ## Install Java and Maven for the real Kafka (Debian, as root)
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "Installing Java and Maven ..."; apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends openjdk-17-jre-headless maven; }

.PHONY: postgres
postgres: ## Install PostgreSQL for the store's tests and make postgres-up (Debian, as root)
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || { echo "Installing PostgreSQL ..."; apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; }

.PHONY: mailservers
mailservers: ## Install Dovecot, Postfix and swaks for the tests of mail; none is started (Debian, as root)
	@tools/mailservers.sh

POSTGRES_DIR ?= .postgres

.PHONY: postgres-up
postgres-up: ## Start a PostgreSQL of its own on this machine, for skein up --store
	@tools/postgres.sh up $(POSTGRES_DIR)

.PHONY: postgres-down
postgres-down: ## Stop it; what it holds stays in .postgres/
	@tools/postgres.sh down $(POSTGRES_DIR)

.PHONY: clean
clean: ## Remove bin/ (data/ stays: it may hold your customers' history)
	rm -rf $(BIN)
