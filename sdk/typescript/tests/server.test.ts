/** Clients on a real server: nothing is lost and nothing comes twice, whatever ends. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { IrisClient } from "../src/iris.js";
import { Server, serverThere } from "./server.js";
import { PASSWORD, Person } from "./world.js";

const there = serverThere();

describe.skipIf(!there)("on a real server", { timeout: 120_000 }, () => {
  let server: Server;
  let ada: Person;
  let bob: Person;
  let talk: string;
  let made = 0;
  const opened: Person[] = [];

  beforeAll(async () => {
    server = await new Server().start();
  }, 60_000);
  afterAll(() => server?.close());

  beforeEach(async () => {
    made += 1;
    ada = await new Person(server.url, `ada${made}`).join();
    bob = await new Person(server.url, `bob${made}`).join();
    opened.push(ada, bob);
    talk = ada.client.conversationWith(bob.client.user);
  });
  afterEach(async () => {
    for (const person of opened.splice(0)) await person.client.close();
  });

  it("two people talk, with ticks, replies, edits, reactions, presence and typing", async () => {
    await ada.live();
    await bob.live();
    expect(await ada.client.resolve(`@${bob.handle}`)).toBe(bob.client.user);
    ada.client.watch([bob.client.user]);
    await ada.until("bob is online", (client) => client.presence(bob.client.user)?.status === "online");

    const { messageId } = await ada.client.send(bob.client.user, "hello");
    const hello = { conversation: talk, sender: ada.client.user, messageId };
    await bob.until("a message", async () => (await bob.texts(talk)).length === 1);
    const [first] = await bob.client.conversations();
    expect(first).toMatchObject({ conversation: talk, peer: ada.client.user, unread: 1 });
    expect(first?.last).toMatchObject({ own: false, sender: ada.client.user, body: { kind: "text", text: "hello" } });
    await bob.client.markRead(talk);
    await ada.until("read", async (client) => (await client.message(hello))?.state === "read");
    expect((await bob.client.conversation(talk)).unread).toBe(0);

    bob.client.setTyping(talk, true);
    await ada.until("typing", (client) => client.typing(talk)[0] === bob.client.user);
    await bob.client.send(talk, {
      text: `hi @${ada.handle}`,
      reply: hello,
      mentions: [{ start: 3, length: ada.handle.length + 1, user: ada.client.user }],
    });
    const answer = await ada.until("an answer", async () => (await ada.all(talk))[1]);
    expect(answer.body).toMatchObject({ reply: { sender: ada.client.user, messageId }, mentions: [{ start: 3 }] });
    expect(ada.client.typing(talk)).toEqual([]);

    await ada.client.edit(hello, "hello!");
    await bob.client.react(hello, "👋");
    await bob.until("the edit", async () => (await bob.texts(talk))[0] === "hello!");
    const edited = await ada.until("the reaction", async (client) => {
      const found = await client.message(hello);
      return found?.reactions.length === 1 ? found : undefined;
    });
    expect(edited).toMatchObject({ reactions: [{ emoji: "👋", users: [bob.client.user] }] });
    expect(edited.editedAt).toBeGreaterThan(0);

    await ada.client.deleteForEveryone(hello);
    await bob.until("the deletion", async () => (await bob.texts(talk))[0] === "deleted");
    expect(await bob.texts(talk)).toEqual(await ada.texts(talk));
    for (const person of [ada, bob]) {
      await person.until("the words are gone", async () => !(await person.kept()).includes("hello"));
      expect(await person.kept()).toContain(`hi @${ada.handle}`);
    }
  });

  it("what is sent offline arrives later, and survives a client that ends", async () => {
    await ada.live();
    ada.client.watch([bob.client.user]);
    await ada.until("bob is online", (client) => client.presence(bob.client.user)?.status === "online");
    await server.stop();
    await ada.until("offline", (client) => client.connection.state !== "live");
    expect(ada.client.presence(bob.client.user)).toBeUndefined(); // who can say?
    await ada.client.send(talk, "one");
    await ada.client.send(talk, "two");
    expect((await ada.all(talk)).map(({ state }) => state)).toEqual(["queued", "queued"]);
    await ada.client.close();
    await ada.open();
    expect(await ada.texts(talk)).toEqual(["one", "two"]);
    expect(await ada.client.waiting()).toBe(2);
    await ada.client.send(talk, "three");
    await server.start();
    for (const person of [ada, bob]) person.client.reconnect();
    await bob.until("all", async () => (await bob.texts(talk)).length === 3);
    expect(await bob.texts(talk)).toEqual(["one", "two", "three"]);
    await ada.until("delivered", async () => (await ada.all(talk)).every(({ state }) => state === "delivered"));
  });

  it("a server that is killed in the middle loses nothing and doubles nothing", async () => {
    await ada.live();
    await bob.live();
    const wanted: string[] = [];
    for (let round = 0; round < 2; round++) {
      const sends: Promise<unknown>[] = [];
      for (let i = 0; i < 60; i++) {
        for (const person of [ada, bob]) {
          const text = `${person.handle} ${round} ${i}`;
          wanted.push(text);
          sends.push(person.client.send(talk, text));
        }
      }
      await Promise.all(sends.slice(0, 40));
      await ada.until("some are accepted", async (client) => (await client.waiting()) < 60);
      await server.kill();
      await Promise.all(sends);
      await server.start();
      for (const person of [ada, bob]) person.client.reconnect();
    }
    for (const person of [ada, bob]) {
      await person.until("all answered", async (client) => (await client.waiting()) === 0);
      await person.until("all here", async () => (await person.texts(talk)).length >= wanted.length);
    }
    const texts = await ada.texts(talk);
    expect(texts).toEqual(await bob.texts(talk));
    expect([...texts].sort()).toEqual([...wanted].sort());
    for (const person of [ada, bob]) {
      const mine = (list: string[]) => list.filter((text) => text.startsWith(`${person.handle} `));
      expect(mine(texts)).toEqual(mine(wanted)); // in the order of sending
    }
  });

  it("tabs share one connection, and the next one takes over when it dies", async () => {
    await ada.live();
    const second = await ada.another();
    opened.push(second);
    await second.live();
    expect([ada.client.holdsConnection, second.client.holdsConnection]).toEqual([true, false]);

    second.client.watch([bob.client.user]);
    await second.until("bob is online", (client) => client.presence(bob.client.user)?.status === "online");
    await second.client.send(talk, "from the second tab");
    await bob.until("it", async () => (await bob.texts(talk)).length === 1);
    await bob.client.send(talk, "hello both");
    for (const tab of [ada, second]) {
      await tab.until("both", async () => (await tab.texts(talk)).length === 2);
      expect(tab.seen.some((event) => event.kind === "messages" && event.added.length === 1)).toBe(true);
    }
    await second.client.markRead(talk);
    await bob.until("read", async () => (await bob.all(talk))[1]?.state === "read");
    await second.client.setDraft(talk, "typed");
    await ada.until("the draft", async (client) => (await client.conversation(talk)).draft === "typed");

    const third = await ada.another();
    opened.push(third);
    third.client.watch([bob.client.user]);
    await third.until("bob is online", (client) => client.presence(bob.client.user)?.status === "online");
    second.client.watch([]);
    third.seen.length = 0;

    const before = performance.now();
    ada.die();
    await second.client.send(talk, "still here");
    await second.until("holds", (client) => client.holdsConnection && client.connection.state === "live");
    expect(performance.now() - before).toBeLessThan(5000);
    await bob.until("it", async () => (await bob.texts(talk)).length === 3);
    await third.until("bob is online, says the new one", () =>
      third.seen.some((event) => event.kind === "presence" && event.presence.status === "online"),
    );
  });

  it("a client that dies in the middle of sending goes on without doubles", async () => {
    await ada.live();
    await bob.live();
    const wanted = Array.from({ length: 80 }, (_, i) => `text ${i}`);
    for (const text of wanted.slice(0, 40)) await ada.client.send(talk, text);
    ada.die();
    await ada.open();
    for (const text of wanted.slice(40)) await ada.client.send(talk, text);
    await bob.until("all", async () => (await bob.texts(talk)).length >= wanted.length);
    expect(await bob.texts(talk)).toEqual(wanted);
    await ada.until("all answered", async (client) => (await client.waiting()) === 0);
  });

  it("own devices show the same", async () => {
    const phone = await new Person(server.url, ada.handle, "phone").logIn();
    opened.push(phone);
    await phone.live();
    await ada.live();
    expect(await ada.client.api.devices()).toHaveLength(2);
    await bob.client.send(talk, "to both");
    await ada.client.send(talk, "from the laptop");
    await phone.until("both", async () => (await phone.texts(talk)).length === 2);
    await phone.client.markRead(talk);
    await ada.until("read elsewhere", async (client) => (await client.conversation(talk)).unread === 0);
    await phone.until("ticks", async () => (await phone.all(talk)).some(({ state }) => state === "delivered"));
  });

  it("who is blocked is refused, and the message can be sent again later", async () => {
    await bob.client.api.block(ada.client.user);
    const { messageId } = await ada.client.send(talk, "hello?");
    const hello = { conversation: talk, sender: ada.client.user, messageId };
    await ada.until("refused", async (client) => (await client.message(hello))?.state === "refused");
    expect(await ada.client.message(hello)).toMatchObject({ code: "NOT_ALLOWED" });
    await bob.client.api.unblock(ada.client.user);
    await ada.client.sendAgain(hello);
    await bob.until("it", async () => (await bob.texts(talk))[0] === "hello?");
    expect(await ada.texts(talk)).toEqual(["hello?"]);
  });

  it("a device that is unlinked is told, and a log-in keeps the history", async () => {
    await ada.live();
    await ada.client.send(talk, "before");
    await ada.until("sent", async (client) => (await client.waiting()) === 0);
    const phone = await new Person(server.url, ada.handle, `phone of ${ada.handle}`).logIn();
    opened.push(phone);
    await phone.client.api.unlink(ada.client.device);
    await ada.until("closed", (client) => client.connection.state === "closed");
    expect(ada.client.connection.reason).toBe("TOKEN_REVOKED");
    await ada.client.close();
    await ada.logIn();
    await ada.client.send(talk, "after");
    await bob.until("both", async () => (await bob.texts(talk)).length === 2);
    expect(await ada.texts(talk)).toEqual(["before", "after"]);
    await ada.client.logOut();
    expect(await IrisClient.profile(ada.options)).toBeUndefined();
  });

  it("another user's profile is not used, and nobody logs in with a wrong password", async () => {
    const given = { handle: bob.handle, password: PASSWORD, deviceName: "test" };
    await expect(IrisClient.logIn(ada.options, given)).rejects.toMatchObject({ name: "ProfileError" });
    expect(await bob.client.api.devices()).toHaveLength(1);
    const wrong = { ...given, password: "wrong" };
    await expect(IrisClient.logIn(ada.options, wrong)).rejects.toMatchObject({ name: "CREDENTIALS_WRONG" });
  });

  it("a device that is logged in lets a new one in by a code, once", async () => {
    const { code } = await ada.client.api.linkCode();
    const phone = new Person(server.url, ada.handle, `phone of ${ada.handle}`);
    const given = { handle: ada.handle, code, deviceName: "phone" };
    const linked = await IrisClient.logIn(phone.options, given);
    expect(linked.user).toBe(ada.client.user);
    expect((await ada.client.api.devices()).map(({ name }) => name)).toContain("phone");
    await linked.close();
    const thief = new Person(server.url, ada.handle, "thief");
    await expect(IrisClient.logIn(thief.options, given)).rejects.toMatchObject({ name: "LINK_CODE_INVALID" });
  });

  it("a change of the password leaves this device logged in, by a new token", async () => {
    await ada.live();
    const phone = await new Person(server.url, ada.handle, `phone of ${ada.handle}`).logIn();
    opened.push(phone);
    await phone.live();
    await ada.client.api.changePassword(PASSWORD, `${PASSWORD} staple`);
    await phone.until("closed", (client) => client.connection.state === "closed");
    await bob.client.send(talk, "hello");
    await ada.until("it", async () => (await ada.texts(talk)).length === 1);
    expect((await ada.client.api.devices()).map(({ current }) => current)).toEqual([true]);
  });
});
