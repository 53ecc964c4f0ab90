PYTHON ?= python3.11
VENV := .venv
PROJECTS := pyproject.toml stores/pyproject.toml serving/pyproject.toml training/pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help venv generate lint unit sources attack attack-docs conformance fuzz histories schedules verdicts gates drift estimators rights test provisions stores prometheus cluster cluster-down gateway network-policies network-policies-off firewall images quickstart release bench bench-servers bench-path bench-rollouts bench-scale bench-tables bench-stores bench-monitor bench-tokens bench-docs soak

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.installed ## Install the packages, editable, and the tools to check them

$(VENV)/.installed: $(PROJECTS)
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || (apt-get update && apt-get install -y --no-install-recommends python3-venv)
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --editable . --editable stores --editable serving --editable training --group dev
	@touch $@

cluster: ## Start a Kubernetes: kind where Docker answers, else its programs on this host
	@$(PYTHON) -m cluster up

cluster-down: ## Remove the cluster and every trace of it
	@$(PYTHON) -m cluster down

gateway: cluster ## Add the Gateway API and Traefik to the cluster on this host (the first time: minutes)
	@if $(PYTHON) -c 'from cluster import kind; raise SystemExit(kind.engine_answers())'; then $(PYTHON) -m cluster gateway; fi

network-policies: cluster ## Enforce NetworkPolicies on the cluster on this host; network-policies-off: no more
	@$(PYTHON) -m cluster network-policies

network-policies-off:
	@$(PYTHON) -m cluster network-policies-off

firewall: ## Compile what enforces NetworkPolicies, for the tests of them
	@$(PYTHON) -m cluster firewall

images: ## Build the images that have changed and load them into the cluster
	@$(PYTHON) -m images

stores: venv ## Compile and install the servers of stores that tests use: S3, Azure, OCI (the first time: minutes)
	@$(VENV)/bin/python -m cluster stores

prometheus: venv ## Unpack the Prometheus and the promtool that tests use
	@$(VENV)/bin/python -m cluster prometheus

quickstart: ## From nothing to a served prediction; EXISTING=1 or CONTEXT=... and VALUES=... for a cluster of yours
	@$(PYTHON) -m cluster.quickstart $(if $(EXISTING),--existing) $(if $(CONTEXT),--context=$(CONTEXT)) $(if $(VALUES),--values=$(VALUES))

release: venv ## Make a release in dist/VERSION from a clean tree; REGISTRY=HOST/PATH and SOURCE=URL to name where it will be
	@$(VENV)/bin/python -m release $(if $(REGISTRY),--registry=$(REGISTRY)) $(if $(SOURCE),--source=$(SOURCE)) $(ARGS)

generate: venv ## Write the CRDs and the dashboards from the code, and the chart's README and schema from its values
	@$(VENV)/bin/python -m modelwright.api.crd crds charts/modelwright/files/crds
	@$(VENV)/bin/python -m dashboards charts/modelwright/files/dashboards
	@$(VENV)/bin/python -m charts
	@PYTHONPATH=tests:. $(VENV)/bin/python -m unit.gitops.testdata

lint: venv ## Check style, types and which module may import which
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy operator stores serving/modelwright_serving training/modelwright_training cluster images dashboards charts release tests
	$(VENV)/bin/lint-imports

unit: venv stores prometheus ## Run the tests that need no cluster
	$(VENV)/bin/pytest --numprocesses=2 --dist=worksteal tests/unit

fuzz: venv ## Feed the server a million mutated inputs per layer; ARGS="http --inputs 1000 --seed 7" for others
	@PYTHONPATH=tests $(VENV)/bin/python -m fuzz $(ARGS)

histories: venv ## Live through a million random rollouts on plain data: no promise is broken, each comes to an end
	@PYTHONPATH=tests $(VENV)/bin/python -m histories $(ARGS)

schedules: venv ## Ten years of schedules in all time zones, against a clock on the wall (5 minutes); ARGS="--years 3"
	@PYTHONPATH=tests $(VENV)/bin/python -m schedules $(ARGS)

verdicts: venv ## Simulate 20,000 rollouts a row: how often a verdict is wrong, how soon a bad revision is found (15 minutes); ARGS=late
	@PYTHONPATH=tests $(VENV)/bin/python -m verdicts $(ARGS)

gates: venv ## Simulate 1,000 hold-outs a row: how often a gate is wrong, and write docs/gates.md (5 minutes); ARGS=champion
	@PYTHONPATH=tests $(VENV)/bin/python -m gates_simulated $(ARGS)

drift: venv ## Simulate 10,000 windows a row: how often drift is seen where there is none, and write docs/drift.md (25 minutes); ARGS=shifts
	@PYTHONPATH=tests $(VENV)/bin/python -m drift_simulated $(ARGS)

estimators: venv ## Train and convert every classifier and regressor, and write docs/estimators.md (5 minutes)
	@PYTHONPATH=tests $(VENV)/bin/python -W ignore -m estimators

rights: venv ## Compare the operator's rights with what it did in `make test`, by the audit log of the cluster on this host
	@PYTHONPATH=tests $(VENV)/bin/python -m rights

sources: venv ## Read what the real DVC has pushed and what the real Feast has joined (the first time: minutes)
	$(VENV)/bin/pytest tests/clients/real_sources.py

attack: venv ## Attack the server in 87 ways and measure what callers beside it notice (8 minutes); ARGS="rapid-reset --seconds 5"
	@PYTHONPATH=tests $(VENV)/bin/python -m attacks $(ARGS)

attack-docs: venv ## Write what `make attack` measured last into docs/serving.md
	@PYTHONPATH=tests $(VENV)/bin/python -m attacks.document

conformance: venv ## Test our server, KServe's and MLServer's against the protocol, and write docs/conformance.md
	@PYTHONPATH=tests $(VENV)/bin/python -m conformance.side_by_side docs/conformance.md

# The cluster and the images wait for the network and the disk half of their time: the linters use it. Then a process
# for each cluster test that waits, more of them than cores; tests/conftest.py gives the order.
test: venv ## Run everything: lint, then all tests, on a real cluster
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint provisions
	$(VENV)/bin/pytest --numprocesses=5 --dist=loadfile --no-loadscope-reorder tests

provisions:
	@$(MAKE) --no-print-directory cluster
	@$(MAKE) --no-print-directory gateway
	@$(MAKE) --no-print-directory images
	@$(MAKE) --no-print-directory stores
	@$(MAKE) --no-print-directory prometheus
	@$(MAKE) --no-print-directory firewall

bench: bench-servers bench-path bench-rollouts bench-tables bench-stores bench-monitor ## Measure everything: speed beside other servers, what a user waits for, what callers lose

bench-servers: venv ## Measure the server beside other servers (12 minutes; QUICK=1: 2; BEFORE=COMMIT: beside itself, too)
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.servers $(if $(QUICK),--quick) $(if $(BEFORE),--before=$(BEFORE))

soak: venv ## Eight hours' worth of requests at full speed: does anything grow?
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.servers --only=soak $(if $(QUICK),--quick)

bench-path: venv cluster images ## Measure what a user waits for and what callers lose, on the real cluster
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.path

bench-rollouts: venv cluster images ## Measure what a rollout costs its callers, and how long a bad version lasts
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.rollouts

bench-scale: venv ## Measure the operator with 5,000 services and 10,000 versions on simulated nodes (QUICK=1: minutes)
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.scale $(if $(QUICK),--quick)

bench-tables: venv ## Measure where the time and the memory go when a million rows become a model (minutes)
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.tables

bench-stores: venv stores ## Measure a model of 1 GB from S3 and from https beside curl: rate, memory, what kills cost (5 minutes; QUICK=1)
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.stores $(if $(QUICK),--quick)

bench-monitor: venv ## Measure what it costs a server to count its rows for drift, beside one that does not (3 minutes; QUICK=1)
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.monitor $(if $(QUICK),--quick)

bench-tokens: venv ## Measure what prediction tokens cost the server (1 minute; QUICK=1)
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.tokens $(if $(QUICK),--quick)

bench-docs: venv ## Write what bench-servers measured last into docs/performance.md
	@PYTHONPATH=tests $(VENV)/bin/python -m bench.document
