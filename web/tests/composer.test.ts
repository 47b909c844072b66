/** What is typed is never lost and never sent twice. */

import { OutboxFull } from "@iris-im/sdk";
import { expect, test } from "vitest";
import { ComposerModel } from "../src/models/composer.js";
import { MentionsModel } from "../src/models/mentions.js";
import { PeopleModel } from "../src/models/people.js";
import { BOB, FakeIris } from "./fake.js";
import { FakePorts, settle } from "./ports.js";

async function opened(ports = new FakePorts(), iris = new FakeIris(() => ports.now())) {
  const conversation = iris.conversationWith(BOB);
  const composer = new ComposerModel(iris, conversation, ports, new MentionsModel(new PeopleModel(iris), () => [BOB]));
  await composer.open();
  const sent = async () =>
    (await iris.messages(conversation)).messages.map((one) => (one.body.kind === "text" ? one.body.text : ""));
  return { ports, iris, conversation, composer, sent };
}

test("Enter twice sends once", async () => {
  const { composer, sent } = await opened();
  composer.type("hello");
  await Promise.all([composer.send(), composer.send()]);
  expect(await sent()).toEqual(["hello"]);
  expect(composer.text.value).toBe("");
});

test("blanks are not sent", async () => {
  const { composer, sent } = await opened();
  composer.type("  \n ");
  expect(composer.canSend.value).toBe(false);
  await composer.send();
  expect(await sent()).toEqual([]);
});

test("a text that could not be kept comes back", async () => {
  const { composer, iris } = await opened();
  iris.failure = new OutboxFull();
  composer.type("hello");
  await composer.send();
  expect(composer.text.value).toBe("hello");
  expect(composer.failure.value).toContain("Too many messages");
});

test("what is typed while a message is on its way stays", async () => {
  const { composer, sent } = await opened();
  composer.type("first");
  const sending = composer.send();
  composer.type("second");
  await sending;
  expect(composer.text.value).toBe("second");
  expect(await sent()).toEqual(["first"]);
});

test("every key is kept at once, the profile has the draft a moment later", async () => {
  const { composer, ports, iris, conversation } = await opened();
  composer.type("half a tho");
  expect([...ports.kept.values()]).toEqual(["half a tho"]);
  expect((await iris.conversation(conversation)).draft).toBe("");
  await ports.pass(400);
  expect((await iris.conversation(conversation)).draft).toBe("half a tho");
  expect([...ports.kept.values()]).toEqual([]);
});

test("a tab that was killed between the two loses nothing", async () => {
  const { composer, ports, iris } = await opened();
  composer.type("half a thought");
  const later = await opened(ports, iris);
  expect(later.composer.text.value).toBe("half a thought");
});

test("sending clears the draft, also the rescued one", async () => {
  const { composer, ports, iris, conversation } = await opened();
  composer.type("hello");
  await ports.pass(1000);
  composer.type("hello there");
  await composer.send();
  await ports.pass(1000);
  expect((await iris.conversation(conversation)).draft).toBe("");
  expect([...ports.kept.values()]).toEqual([]);
});

test("an edit leaves the draft alone", async () => {
  const { composer, iris, conversation, ports } = await opened();
  await iris.send(conversation, "wrogn");
  composer.type("a draft");
  const [message] = (await iris.messages(conversation)).messages;
  if (message === undefined) throw new Error("it is there");
  composer.edit(message);
  expect(composer.text.value).toBe("wrogn");
  composer.type("wrong");
  await composer.send();
  await settle();
  expect((await iris.message(message))?.editedAt).toBe(ports.now());
  expect(composer.text.value).toBe("a draft");
  expect(composer.editing.value).toBeUndefined();
});

test("a cancelled edit gives the draft back", async () => {
  const { composer, iris, conversation } = await opened();
  await iris.send(conversation, "done");
  composer.type("a draft");
  const [message] = (await iris.messages(conversation)).messages;
  if (message !== undefined) composer.edit(message);
  composer.cancel();
  expect(composer.text.value).toBe("a draft");
});

test("a reply names its message", async () => {
  const { composer, iris, conversation, ports } = await opened();
  const asked = iris.arrive(BOB, "when?");
  ports.time += 1;
  composer.replyTo(asked);
  composer.type("now");
  await composer.send();
  const last = (await iris.messages(conversation)).messages.at(-1);
  expect(last?.body.kind === "text" && last.body.reply).toEqual({ sender: BOB, messageId: asked.messageId });
  expect(composer.reply.value).toBeUndefined();
});

test("typing is told every four seconds, and that it ended", async () => {
  const { composer, iris, conversation, ports } = await opened();
  composer.type("a");
  await ports.pass(1_000);
  composer.type("ab");
  expect(iris.typed).toEqual([[conversation, true]]);
  await ports.pass(3_500);
  composer.type("abc");
  expect(iris.typed).toHaveLength(2);
  await ports.pass(5_000);
  expect(iris.typed.at(-1)).toEqual([conversation, false]);
});
