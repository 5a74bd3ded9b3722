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
	github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
TOOLS_STAMP := $(BIN)/.tools-$(shell echo '$(TOOLS)' | cksum | cut -d' ' -f1)

# The race detector needs a C compiler.
RACE := $(shell command -v cc >/dev/null 2>&1 && echo -race)

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
	$(BIN)/kafka exec -- $(GO) test -timeout 45m $(RACE) work

.PHONY: bench
bench: build ## Measure it beside its ceilings and peers: docs/benchmarks.md (GROWTH=10000000, ONLY=ingest,fold; half an hour)
	@$(GO) build -o $(BIN)/bench ./tools/cmd/bench
	@$(BIN)/bench -skein $(BIN)/skein -growth $(or $(GROWTH),0) -only "$(ONLY)" $(BENCHFLAGS)

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

.PHONY: generate
generate: $(TOOLS_STAMP) ## Write the generated code and docs again
	cd proto && PATH=$(BIN):$$PATH $(BIN)/buf generate
	$(GO) run ./tools/cmd/eventtypes

.PHONY: generate-check
generate-check: generate ## Prove that generated code and docs are fresh
	@test -z "$$(git status --porcelain -- '*.pb.go' '*.pb.gw.go' '*_gen.go' docs/events.md docs/skein.swagger.json)" || \
		{ git status --short -- '*.pb.go' '*.pb.gw.go' '*_gen.go' docs/events.md docs/skein.swagger.json; echo "Generated files are stale: commit what make generate wrote."; exit 1; }

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
