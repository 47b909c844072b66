/**
 * Writes src/pb from protocol/descriptors.binpb (which `make gen` writes). With --check it writes nothing and fails when a
 * file differs. No protoc is needed: the plugin gets the request that protoc would make.
 */

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

const here = (path) => new URL(path, import.meta.url);
const { file: protoFile } = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(here("../../../protocol/descriptors.binpb")),
);
const request = create(CodeGeneratorRequestSchema, {
  fileToGenerate: protoFile.map((file) => file.name),
  parameter: "target=ts,import_extension=js",
  protoFile,
});
const plugin = here("../node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es");
const made = spawnSync(process.execPath, [plugin.pathname], { input: toBinary(CodeGeneratorRequestSchema, request) });
if (made.status !== 0) throw new Error(`protoc-gen-es failed: ${made.stderr}`);
const response = fromBinary(CodeGeneratorResponseSchema, made.stdout);
if (response.error) throw new Error(response.error);

let stale = 0;
for (const file of response.file) {
  const path = here(`../src/pb/${file.name.split("/").at(-1)}`);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, file.content);
    continue;
  }
  let found = "";
  try {
    found = readFileSync(path, "utf8");
  } catch {}
  if (found !== file.content) {
    console.error(`${path.pathname} is not what protocol/ says: npm run gen`);
    stale += 1;
  }
}
process.exitCode = stale > 0 ? 1 : 0;
