/** Which layer may import which, whatever the linter says; and that both dark themes are the same. */

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const SOURCES = new URL("../src/", import.meta.url);
const MAY: Record<string, readonly string[]> = {
  i18n: [],
  models: ["i18n"],
  views: ["models", "i18n"],
  platform: ["models"],
};
const PACKAGES: Record<string, RegExp> = {
  i18n: /^@preact\/signals-core$/,
  models: /^(@preact\/signals-core|@iris-im\/sdk)$/,
  views: /^(preact|preact\/hooks|@preact\/signals|@iris-im\/sdk|qr)$/,
  platform: /^$/,
};

const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));

test("imports point one way", () => {
  const wrong: string[] = [];
  for (const name of files) {
    const layer = name.includes("/") ? (name.split("/")[0] ?? "") : "";
    if (layer === "") continue; // main.tsx builds all
    const text = readFileSync(new URL(name, SOURCES), "utf8");
    for (const [, from = ""] of text.matchAll(/(?:from |import |import\()"([^"]+)"/g)) {
      const target = from.startsWith("../") ? (from.split("/")[1] ?? "") : from.startsWith("./") ? layer : "";
      const allowed = target === "" ? PACKAGES[layer]?.test(from) : target === layer || MAY[layer]?.includes(target);
      if (!allowed) wrong.push(`${name} imports ${from}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("views take only types from the SDK", () => {
  const wrong = files.filter(
    (name) =>
      name.startsWith("views/") &&
      /^import (?!type)[^\n]*"@iris-im\/sdk"/m.test(readFileSync(new URL(name, SOURCES), "utf8")),
  );
  expect(wrong).toEqual([]);
});

test("files stay short", () => {
  const long = files.filter(
    (name) => !name.startsWith("i18n/") && readFileSync(new URL(name, SOURCES), "utf8").split("\n").length > 500,
  );
  expect(long).toEqual([]);
});

test("dark by choice and dark by system are the same", () => {
  const css = readFileSync(new URL("styles/tokens.css", SOURCES), "utf8");
  const block = (selector: string) => css.split(selector)[1]?.split("}")[0]?.replace(/\s+/g, " ");
  expect(block(':root[data-theme="dark"] {')).toBe(block(':root[data-theme="system"] {'));
});

test("no physical sides: right to left is the same style sheet", () => {
  for (const name of readdirSync(new URL("styles/", SOURCES))) {
    const css = readFileSync(new URL(`styles/${name}`, SOURCES), "utf8");
    expect(
      css.match(
        /^\s*(margin|padding|border)-(left|right)|^\s*(left|right|float: (left|right)|text-align: (left|right))\s*[:;]/gm,
      ),
      name,
    ).toBeNull();
  }
});
