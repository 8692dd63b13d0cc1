"""The Kinesis kinds: `statefun.kinesis.io/...` (2.x), `io.statefun.kinesis/...` (3.0), `io.statefun.kinesis.v1/...`.

Here: their keys. What their streams have in common with Kafka's topics is in `_topics`.
"""

from __future__ import annotations

from typing import Literal

from statefun.module._dialect import Dialect
from statefun.module._fields import Field, Fields, Pairs, Record, Tagged
from statefun.module._grammar import Whole
from statefun.module._model import Credentials, KinesisEgress, KinesisIngress, Region, StartAt
from statefun.module._topics import start_date, topics_of, topics_shape

__all__ = ["kinesis_egress", "kinesis_ingress"]

START_SAYS = "Invalid startup position type: <s>; valid values are [earliest, latest, date]"


def kinesis_ingress(how: Dialect) -> Fields[KinesisIngress]:
    """Return the shape of an ingress's spec."""
    says = None if how.strict else "Routing config for routable Kinesis ingress cannot be empty."
    return Fields(
        what="a Kinesis ingress",
        fields=(
            *how.own_id("the name of the ingress", "shop.io/clicks"),
            Field(name="streams", of=topics_shape(how, "stream", "Kinesis"), needed=True, says=says),
            Field(name="startupPosition", of=_startup(how)),
            *_aws(how),
        ),
        make=lambda record: KinesisIngress(
            id=record.find("id", str) or "",
            topics=topics_of(record, "streams", "stream"),
            start=record.find("startupPosition", StartAt),
            region=record.find("awsRegion", Region) or Region(),
            credentials=record.find("awsCredentials", Credentials) or Credentials(),
            properties=record.pairs("clientConfigProperties"),
            source=record.source(),
        ),
    )


def kinesis_egress(how: Dialect) -> Fields[KinesisEgress]:
    """Return the shape of an egress's spec."""
    outstanding = Whole(
        what="a number above zero", least=1, strict=how.strict, says="Max outstanding records must be larger than 0."
    )
    return Fields(
        what="a Kinesis egress",
        fields=(
            *how.own_id("the name of the egress", "shop.io/clicks-out"),
            Field(name="maxOutstandingRecords", of=outstanding),
            *_aws(how),
        ),
        make=lambda record: KinesisEgress(
            id=record.find("id", str) or "",
            region=record.find("awsRegion", Region) or Region(),
            credentials=record.find("awsCredentials", Credentials) or Credentials(),
            max_outstanding_records=record.find("maxOutstandingRecords", int) or 1000,
            properties=record.pairs("clientConfigProperties"),
            source=record.source(),
        ),
    )


def _aws(how: Dialect) -> tuple[Field, ...]:
    return (
        Field(name="awsRegion", of=_region(how)),
        Field(name="awsCredentials", of=_credentials(how)),
        Field(name="clientConfigProperties", of=Pairs(strict=how.strict)),
    )


def _startup(how: Dialect) -> Tagged[StartAt]:
    date = Field(name="date", of=start_date(strict=how.strict), needed=True)
    return Tagged(
        what="the startup position",
        cases={
            "earliest": Fields(
                what="a start at earliest", fields=(), make=lambda _record: StartAt(type="earliest"), tag="type"
            ),
            "latest": Fields(
                what="a start at latest", fields=(), make=lambda _record: StartAt(type="latest"), tag="type"
            ),
            "date": Fields(
                what="a start at a date",
                fields=(date,),
                make=lambda record: StartAt(type="date", date=record.get("date", str)),
                tag="type",
            ),
        },
        fold=how.fold,
        strict=how.strict,
        says=START_SAYS,
    )


def _region(how: Dialect) -> Tagged[Region]:
    def texts(*names: str) -> tuple[Field, ...]:
        return tuple(Field(name=name, of=how.text(f"the {name} of the region"), needed=True) for name in names)

    def make(record: Record) -> Region:
        kind: Literal["specific", "custom-endpoint"] = "custom-endpoint" if "endpoint" in record.values else "specific"
        return Region(
            type=kind,
            id=record.find("id", str),
            endpoint=record.find("endpoint", str),
        )

    return Tagged(
        what="the AWS region",
        cases={
            "default": Fields(what="the default region", fields=(), make=lambda _record: Region(), tag="type"),
            "specific": Fields(what="a region", fields=texts("id"), make=make, tag="type"),
            "custom-endpoint": Fields(what="a region", fields=texts("endpoint", "id"), make=make, tag="type"),
        },
        fold=how.fold,
        strict=how.strict,
        says="Invalid AWS region type: <s>; valid values are [default, specific, custom-endpoint]",
    )


def _credentials(how: Dialect) -> Tagged[Credentials]:
    def field(name: str, *, needed: bool = True) -> Field:
        return Field(name=name, of=how.text(f"the {name} of the credentials"), needed=needed)

    def make(record: Record) -> Credentials:
        kind: Literal["basic", "profile"] = "basic" if "accessKeyId" in record.values else "profile"
        return Credentials(
            type=kind,
            access_key_id=record.find("accessKeyId", str),
            secret_access_key=record.find("secretAccessKey", str),
            profile_name=record.find("profileName", str),
            profile_path=record.find("profilePath", str),
        )

    basic = (field("accessKeyId"), field("secretAccessKey"))
    profile = (field("profileName"), field("profilePath", needed=False))
    return Tagged(
        what="the AWS credentials",
        cases={
            "default": Fields(what="default credentials", fields=(), make=lambda _record: Credentials(), tag="type"),
            "basic": Fields(what="basic credentials", fields=basic, make=make, tag="type"),
            "profile": Fields(what="the credentials of a profile", fields=profile, make=make, tag="type"),
        },
        fold=how.fold,
        strict=how.strict,
        says="Invalid AWS credential type: <s>; valid types are [default, basic, profile]",
    )
