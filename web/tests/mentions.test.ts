/** Mentions: who is offered while an @ is typed, what is put into the text, whom a sent text names. */

import { describe, expect, test } from "vitest";
import { ComposerModel } from "../src/models/composer.js";
import { MentionsModel } from "../src/models/mentions.js";
import { PeopleModel } from "../src/models/people.js";
import { ADA, BOB, CARL, FakeIris } from "./fake.js";
import { FakePorts, settle } from "./ports.js";

async function opened(known: readonly string[] = [BOB, CARL]) {
  const ports = new FakePorts();
  const iris = new FakeIris(() => ports.now());
  iris.people.set(BOB, { user: BOB, handle: "bob", name: "Robert Jón" });
  const people = new PeopleModel(iris);
  for (const user of [ADA, BOB, CARL]) people.handleOf(user);
  await settle();
  const mentions = new MentionsModel(people, () => known);
  const conversation = iris.conversationWith(BOB);
  const composer = new ComposerModel(iris, conversation, ports, mentions);
  const type = (text: string, cursor = text.length) => {
    composer.type(text);
    mentions.look(text, cursor);
    return mentions.offered.value;
  };
  return { iris, mentions, composer, conversation, type };
}

describe("who is offered", () => {
  test("whoever's handle or name begins with what is typed", async () => {
    const { type } = await opened();
    expect(type("hi")).toEqual([]);
    expect(type("hi @")).toEqual([BOB, CARL]);
    expect(type("hi @B")).toEqual([BOB]);
    expect(type("hi @rob")).toEqual([BOB]);
    expect(type("hi @jon")).toEqual([BOB]);
    expect(type("hi @car")).toEqual([CARL]);
    expect(type("hi @x")).toEqual([]);
    expect(type("hi @Carl")).toEqual([]); // nothing is left to pick
    expect(type("mail ada@b")).toEqual([]);
    expect(type("@bob there", 2)).toEqual([BOB]);
    expect(type("@bob there")).toEqual([]);
  });

  test("never oneself, nobody twice, and only a few", async () => {
    const { type } = await opened([ADA, BOB, BOB]);
    expect(type("@")).toEqual([BOB]);
    const many = Array.from({ length: 20 }, (_, n) => n.toString().padStart(26, "0"));
    const { iris, type: typeMany } = await opened(many);
    for (const user of many) iris.people.set(user, { user, handle: `h${user.slice(-2)}`, name: "" });
    typeMany("@h");
    await settle();
    expect(typeMany("@h0")).toHaveLength(6);
  });

  test("nobody after Escape, until another @", async () => {
    const { type, mentions } = await opened();
    type("@b");
    mentions.close();
    expect(type("@bo")).toEqual([]);
    expect(type("@bo @")).toEqual([BOB, CARL]);
  });
});

describe("what is picked", () => {
  test("is the active one, and arrows go round", async () => {
    const { type, mentions, composer } = await opened();
    type("hi @");
    mentions.move(1);
    expect(mentions.active.value).toBe(1);
    mentions.move(1);
    mentions.move(-1);
    expect(composer.mention()).toBe("hi @carl ".length);
    expect(composer.text.value).toBe("hi @carl ");
    expect(mentions.offered.value).toEqual([]);
    expect(composer.mention()).toBeUndefined();
  });

  test("takes the place of what was typed, in the middle too", async () => {
    const { type, composer } = await opened();
    type("hi @bo and all", 6);
    expect(composer.mention(BOB)).toBe("hi @bob ".length);
    expect(composer.text.value).toBe("hi @bob and all");
  });
});

describe("whom a text names", () => {
  test("those who are known here, wherever they stand", async () => {
    const { mentions } = await opened();
    const named = (text: string) => mentions.in(text).map(({ start, length }) => text.slice(start, start + length));
    expect(mentions.in("hi @bob")).toEqual([{ start: 3, length: 4, user: BOB }]);
    expect(named("@Bob, (@carl): @bob.")).toEqual(["@Bob", "@carl", "@bob"]);
    expect(named("👍 @bob")).toEqual(["@bob"]);
    for (const none of ["@bobby", "a@bob", "@@bob", "@bob@x", "@nobody", "@ada", "bob"])
      expect(named(none)).toEqual([]);
  });

  test("is sent with it, also when it is changed", async () => {
    const { iris, composer, conversation } = await opened();
    composer.type(" hi @bob ");
    await composer.send();
    const [message] = (await iris.messages(conversation)).messages;
    expect(message?.body).toMatchObject({ text: "hi @bob", mentions: [{ start: 3, length: 4, user: BOB }] });
    if (message === undefined) throw new Error("it is there");
    composer.edit(message);
    composer.type("@carl");
    await composer.send();
    const changed = await iris.message(message);
    expect(changed?.body).toMatchObject({ text: "@carl", mentions: [{ start: 0, length: 5, user: CARL }] });
  });
});
