/** Tables that grow with people and conversations have a limit, and what is on the screen stays. */

import { effect } from "@preact/signals-core";
import { expect, test } from "vitest";
import { Kept } from "../src/models/kept.js";
import { LINES_MAX, ListModel } from "../src/models/list.js";
import { PeopleModel } from "../src/models/people.js";
import { BOB, FakeIris } from "./fake.js";
import { FakePorts, settle } from "./ports.js";

test("above the limit those go that nobody reads, the one asked for longest ago first", () => {
  const kept = new Kept<number>(3);
  const end = effect(() => void kept.make("read", 1).value);
  for (const key of ["a", "b", "c"]) kept.make(key, 0);
  expect([...kept.all()].map(([key]) => key)).toEqual(["read", "b", "c"]);
  kept.find("b");
  kept.make("d", 0);
  expect([...kept.all()].map(([key]) => key)).toEqual(["read", "b", "d"]);
  end();
  kept.make("e", 0);
  expect(kept.find("read")).toBeUndefined();
  expect(kept.size).toBe(3);
});

test("a name that is on the screen is told of for ever, whoever else is asked for", async () => {
  const ports = new FakePorts();
  const people = new PeopleModel(new FakeIris(() => ports.now()));
  const seen: string[] = [];
  const end = effect(() => void seen.push(people.nameOf(BOB)));
  await settle();
  for (let n = 0; n < 5_000; n += 1) people.nameOf(`somebody ${n}`);
  people.onProfile({ user: BOB, handle: "bob", name: "Robert" });
  expect(seen).toEqual(["000000", "Bob", "Robert"]);
  end();
});

test("a name that nobody could say is asked for again with the next connection", async () => {
  const ports = new FakePorts();
  const iris = new FakeIris(() => ports.now());
  const people = new PeopleModel(iris);
  iris.people.delete(BOB);
  people.nameOf(BOB);
  await settle();
  iris.people.set(BOB, { user: BOB, handle: "bob", name: "Bob" });
  await people.refresh();
  await settle();
  expect(people.nameOf(BOB)).toBe("Bob");
});

test("the list ends somewhere, and pinned lines are not what goes", async () => {
  const ports = new FakePorts();
  const iris = new FakeIris(() => ports.now());
  const list = new ListModel(iris, new PeopleModel(iris), ports);
  iris.arrive(BOB, "old", 1, true);
  const pinned = { ...(await iris.conversation(iris.conversationWith(BOB))), pinned: true };
  for (let n = 0; n < LINES_MAX + 10; n += 1) {
    list.onConversation({ ...pinned, pinned: false, conversation: n.toString(16).padStart(64, "0"), lastAt: n + 2 });
  }
  list.onConversation(pinned);
  list.flush();
  expect(list.all.value).toHaveLength(LINES_MAX);
  expect(list.all.value[0]).toEqual(pinned);
  expect(list.all.value.at(-1)?.lastAt).toBe(13);
});
