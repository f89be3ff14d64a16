"""Holds an SBOM against the schema of CycloneDX 1.5: `python validate.py SBOM`."""

import importlib.util
import json
import pathlib
import sys

import fastjsonschema

# Found and not imported: the library around the schemas would need more than is installed.
package = importlib.util.find_spec("cyclonedx").submodule_search_locations[0]
schemas = pathlib.Path(package) / "schema" / "_res"


def schema(uri):
    """A schema by the last part of its address; nothing is fetched."""
    return json.loads((schemas / uri.rsplit("/", 1)[-1]).read_text(encoding="utf-8"))


validate = fastjsonschema.compile(
    schema("bom-1.5.SNAPSHOT.schema.json"),
    handlers={"http": schema, "https": schema},
    use_default=False,
)
try:
    validate(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
except fastjsonschema.JsonSchemaException as fault:
    sys.exit(str(fault)[:1000])
