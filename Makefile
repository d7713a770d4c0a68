# Each target is one command of bin/dataflow, which has --help.
STACK ?= local

.PHONY: up preview drift run status down test lint bench bootstrap

up:            ## everything: install, deploy, run the pipeline, print where to look
	@bin/dataflow up --stack $(STACK)

preview:       ## what `up` would change, reviewed: data, losses, policies, security, costs
	@bin/dataflow review --stack $(STACK)

drift:         ## how the running services differ from what the last `up` left
	@bin/dataflow drift --stack $(STACK)

run:           ## run the pipeline once more
	@bin/dataflow run --stack $(STACK)

status:        ## services, their state and their addresses
	@bin/dataflow status --stack $(STACK)

down:          ## stop and remove everything that `up` made (the installed tools stay)
	@bin/dataflow down --stack $(STACK)

test:          ## lint, then every test
	@bin/dataflow test

lint:          ## ruff, mypy, import-linter
	@bin/dataflow lint

bench:         ## ratios against a baseline measured in the same run
	@bin/dataflow bench

bootstrap:     ## only install the tools
	@bin/dataflow bootstrap
