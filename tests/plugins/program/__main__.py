"""One of everything that the plugins serve, with the official SDKs as they are."""

import json

import pulumi
import pulumi_elasticstack as elasticstack
import pulumi_minio as minio
import pulumi_postgresql as postgresql

config = pulumi.Config()
# minio takes its settings from the stack's configuration, the others from the program.
postgres = pulumi.ResourceOptions(
    provider=postgresql.Provider(
        "postgres",
        host="127.0.0.1",
        port=config.require_int("postgresPort"),
        username="postgres",
        password=config.require_secret("postgresPassword"),
        sslmode="disable",
    )
)
search = pulumi.ResourceOptions(
    provider=elasticstack.Provider(
        "search",
        elasticsearch=elasticstack.ProviderElasticsearchArgs(
            endpoints=[config.require("searchUrl")],
            username="elastic",
            password=config.require_secret("searchPassword"),
        ),
    )
)
password = config.require_secret("userPassword")

lake = minio.S3Bucket("lake", quota=10**9)  # with an automatic name
minio.S3BucketVersioning(
    "lake", bucket=lake.bucket, versioning_configuration={"status": "Enabled"}
)
minio.IlmPolicy(
    "lake", bucket=lake.bucket, rules=[{"id": "logs", "expiration": "90d", "filter": "logs/"}]
)
statement = {"Effect": "Allow", "Action": "s3:GetObject"}
gold = pulumi.Output.concat("arn:aws:s3:::", lake.bucket, "/gold/*")
minio.S3BucketPolicy(
    "lake",
    bucket=lake.bucket,
    policy=pulumi.Output.json_dumps(
        {"Statement": [{**statement, "Principal": "*", "Resource": gold}]}
    ),
)
user = minio.IamUser("reader", secret=password)
rule = minio.IamPolicy(
    "reader",
    policy=pulumi.Output.json_dumps(
        {"Version": "2012-10-17", "Statement": [{**statement, "Resource": [gold]}]}
    ),
)
minio.IamUserPolicyAttachment("reader", user_name=user.name, policy_name=rule.name)

role = postgresql.Role("etl", name="etl", login=True, password=password, opts=postgres)
database = postgresql.Database("app", name="app", owner=role.name, opts=postgres)
schema = postgresql.Schema("raw", name="raw", database=database.name, opts=postgres)
postgresql.Grant(
    "use",
    role=role.name,
    database=database.name,
    schema=schema.name,
    object_type="schema",
    privileges=["USAGE", "CREATE"],
    opts=postgres,
)
postgresql.DefaultPrivileges(
    "later",
    role=role.name,
    database=database.name,
    schema=schema.name,
    owner="postgres",
    object_type="table",
    privileges=["SELECT"],
    opts=postgres,
)

part = elasticstack.ComponentTemplate(
    "logs",
    name="logs-mappings",
    template={"mappings": json.dumps({"properties": {"level": {"type": "keyword"}}})},
    opts=search,
)
elasticstack.IndexTemplate(
    "logs",
    name="logs",
    index_patterns=["airbyte-logs-*"],
    composed_ofs=[part.name],
    template={"settings": json.dumps({"number_of_shards": 1})},
    opts=search,
)
writer = elasticstack.SecurityRole(
    "writer",
    name="logs-writer",
    indices=[{"names": ["airbyte-logs-*"], "privileges": ["create_doc"]}],
    opts=search,
)
elasticstack.SecurityUser(
    "writer", username="writer", password=password, roles=[writer.name], opts=search
)
elasticstack.SnapshotRepository("kept", name="program", fs={"location": "program"}, opts=search)
elasticstack.ClusterSettings(
    "limits",
    persistent={"settings": [{"name": "search.default_search_timeout", "value": "30s"}]},
    opts=search,
)

if config.get_bool("importing"):
    adopted = pulumi.ResourceOptions(import_="by-hand")
    minio.S3Bucket("adopted", bucket="by-hand", opts=adopted)

pulumi.export("bucket", lake.bucket)
