/** Payloads and what is shown of them, by the stories of sdk/scenarios/content. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type Action,
  decodeContent,
  encodeContent,
  isAction,
  type Named,
  type Ref,
  type Said,
} from "../src/content/codec.js";
import { compareRows, fold, orderOf, type Written } from "../src/content/fold.js";
import { fromHex, toHex } from "../src/ids.js";

const FOLDER = new URL("../../scenarios/content/", import.meta.url);
const read = (file: string) => JSON.parse(readFileSync(new URL(file, FOLDER), "utf8"));
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json") && name !== "encoding.json");

type RefJson = [string, string];
interface TextJson {
  body?: string;
  reply_to?: RefJson;
  target?: RefJson;
  emoji?: string;
  forwarded?: boolean;
  mentions?: [string, number, number][];
}
interface RowJson {
  sender: string;
  message_id: string;
  at: number;
  state?: string;
  n?: number;
  content: Record<string, TextJson>;
}
interface Story {
  name: string;
  hidden: RefJson[];
  rows: RowJson[];
  shown: Record<string, unknown>[];
}

const refOf = (ref: RefJson): Ref => ({ sender: ref[0], message_id: ref[1] });
const namedOf = (named: [string, number, number][] = []): Named[] =>
  named.map(([user, start, length]) => ({ user, start, length }));

function saidOf(content: Record<string, TextJson>): Said {
  const [kind, given] = Object.entries(content)[0] ?? ["", {}];
  const target = refOf(given.target ?? ["", ""]);
  const body = given.body ?? "";
  const mentions = namedOf(given.mentions);
  switch (kind) {
    case "text": {
      const reply_to = given.reply_to === undefined ? undefined : refOf(given.reply_to);
      return { kind, body, mentions, reply_to, forwarded: given.forwarded ?? false };
    }
    case "reaction":
      return { kind, target, emoji: given.emoji ?? "" };
    case "edit":
      return { kind, target, body, mentions };
    case "delete":
      return { kind, target };
  }
  return { kind: "unknown" };
}

describe("encoding", () => {
  const cases: {
    name: string;
    both?: boolean;
    payload: string;
    content_type?: number;
    alg?: number;
    content: Record<string, TextJson>;
  }[] = read("encoding.json");

  it.each(cases)("$name", ({ both, payload, content_type = 1, alg = 0, content }) => {
    const said = saidOf(content);
    expect(decodeContent({ payload: fromHex(payload), content_type, alg })).toEqual(said);
    if (both && said.kind !== "unknown") {
      const made = encodeContent(said);
      expect(toHex(made.payload)).toBe(payload);
      expect([made.content_type, made.alg]).toEqual([1, 0]);
    }
  });

  const text = (body: string, mentions: Named[] = []): Said & { kind: "text" } => ({
    kind: "text",
    body,
    mentions,
    reply_to: undefined,
    forwarded: false,
  });
  const user = "0".repeat(32);

  it("refuses what nobody could read", () => {
    expect(() => encodeContent(text("\ud83d"))).toThrow("not Unicode");
    expect(() => encodeContent(text("ab", [{ user, start: 1, length: 2 }]))).toThrow("inside the text");
    const two = { user, start: 0, length: 2 };
    expect(() => encodeContent(text("abc", [two, { ...two, start: 1 }]))).toThrow("do not overlap");
    const many = Array.from({ length: 257 }, (_, start) => ({ user, start, length: 1 }));
    expect(() => encodeContent(text("a".repeat(300), many))).toThrow("at most 256 mentions");
    const target = { sender: user, message_id: user };
    expect(() => encodeContent({ kind: "reaction", target, emoji: "x".repeat(65) })).toThrow("at most 64 bytes");
    expect(() => encodeContent({ kind: "delete", target: { ...target, sender: "ada" } })).toThrow("16 bytes");
  });
});

/** As a client shows a whole conversation. */
function shown(rows: RowJson[], hidden: RefJson[]) {
  const key = (ref: Ref) => `${ref.sender}/${ref.message_id}`;
  const written = rows.map(({ content, state = "", n = 0, ...row }): Written => {
    return { ...row, state, order: orderOf(state, row.at, n), said: saidOf(content) };
  });
  const messages = new Map(written.filter((row) => !isAction(row.said)).map((row) => [key(row), row]));
  const actions = written.filter((row): row is Written<Action> => isAction(row.said));
  for (const ref of hidden) messages.delete(key(refOf(ref)));
  const order = [...messages.values()].sort(compareRows);
  return order.map((row) => {
    const { sender, message_id, at, state } = row;
    return {
      sender,
      message_id,
      at,
      state,
      ...fold(
        row,
        actions.filter((one) => key(one.said.target) === key(row)),
      ),
    };
  });
}

function full(json: Record<string, unknown>) {
  const {
    reply_to,
    reactions = [],
    mentions = [],
    ...rest
  } = json as {
    reply_to?: RefJson;
    reactions?: [string, string[]][];
    mentions?: [string, number, number][];
  };
  return {
    ...{ state: "", body: "", forwarded: false, edited_at: 0, ...rest },
    reply_to: reply_to === undefined ? undefined : refOf(reply_to),
    reactions: reactions.map(([emoji, users]) => ({ emoji, users })),
    mentions: namedOf(mentions),
  };
}

describe.each(files)("%s", (file) => {
  it.each(read(file) as Story[])("$name", (story) => {
    const wanted = story.shown.map(full);
    for (const rows of [story.rows, [...story.rows].reverse(), [...story.rows, ...story.rows]]) {
      expect(shown(rows, story.hidden)).toEqual(wanted);
    }
  });
});
