/** The session: the list, who is on screen, the connection, notifications, settings. */

import { afterEach, describe, expect, test } from "vitest";
import { language } from "../src/i18n/index.js";
import { PreferencesModel } from "../src/models/preferences.js";
import { parseRoute, routePath } from "../src/models/route.js";
import { SessionModel } from "../src/models/session.js";
import { BOB, CARL, FakeIris } from "./fake.js";
import { FakePorts, settle } from "./ports.js";

afterEach(() => {
  language.value = "en";
});

async function started(prepare: (iris: FakeIris, ports: FakePorts) => void = () => {}) {
  const ports = new FakePorts();
  const iris = new FakeIris(() => ports.now());
  prepare(iris, ports);
  const left: string[] = [];
  const session = new SessionModel(iris, new PreferencesModel(ports), ports, (why) => left.push(why));
  await session.start();
  await settle();
  return { ports, iris, session, left };
}

describe("the list", () => {
  test("newest first, pinned before all, archived apart", async () => {
    const { iris, session, ports } = await started((iris) => {
      iris.arrive(BOB, "old", 1000, true);
      iris.arrive(CARL, "new", 2000, true);
    });
    const order = () => session.list.shown.value.map((line) => line.peer);
    expect(order()).toEqual([CARL, BOB]);
    await iris.pin(iris.conversationWith(BOB), true);
    await ports.pass(50);
    expect(order()).toEqual([BOB, CARL]);
    await iris.archive(iris.conversationWith(CARL), true);
    await ports.pass(50);
    expect(order()).toEqual([BOB]);
    session.list.archiveOpen.value = true;
    expect(order()).toEqual([CARL]);
  });

  test("a search finds names at once and messages a moment later", async () => {
    const { session, ports } = await started((iris) => {
      iris.arrive(BOB, "the parcel is here", 1000, true);
      iris.arrive(CARL, "no", 2000, true);
    });
    session.list.search("BÓB");
    void session.list.shown.value; // names that were never shown are asked for
    await settle();
    expect(session.list.shown.value.map((line) => line.peer)).toEqual([BOB]);
    session.list.search("parcel");
    expect(session.list.shown.value).toEqual([]);
    await ports.pass(200);
    expect(session.list.found.value).toHaveLength(1);
    session.list.search("");
    expect(session.list.found.value).toEqual([]);
    expect(session.list.shown.value).toHaveLength(2);
  });

  test("a conversation of which only a read position came is no line", async () => {
    const { iris, session, ports } = await started();
    iris.emit({ kind: "conversation", conversation: await iris.conversation(iris.conversationWith(BOB)) });
    await ports.pass(50);
    expect(session.list.shown.value).toEqual([]);
    iris.arrive(BOB, "hi");
    await ports.pass(50);
    expect(session.list.shown.value).toHaveLength(1);
  });

  test("a thousand changes of lines are drawn together", async () => {
    const { iris, session, ports } = await started();
    let drawn = 0;
    const end = session.list.all.subscribe(() => {
      drawn += 1;
    });
    for (let n = 0; n < 1000; n += 1) iris.arrive(BOB, `m${n}`);
    await ports.pass(50);
    end();
    expect(drawn).toBe(2);
    expect(session.list.all.value[0]?.unread).toBe(1000);
  });

  test("the title counts chats with something unread, muted ones not", async () => {
    const { iris, session, ports } = await started();
    void session;
    iris.arrive(BOB, "hi");
    await ports.pass(50);
    expect(ports.title).toBe("(1) Iris");
    await iris.mute(iris.conversationWith(BOB), Number.POSITIVE_INFINITY);
    await ports.pass(50);
    expect(ports.title).toBe("Iris");
  });
});

test("gaps of the profile are known at the start, and a new one at once", async () => {
  const { session, iris } = await started((iris) => {
    iris.gapsThere = [5];
  });
  expect([session.gaps.value, session.gapAt.value]).toEqual([[5], 0]);
  iris.gapsThere = [5, 9];
  iris.emit({ kind: "gap", at: 9 });
  await settle();
  expect([session.gaps.value, session.gapAt.value]).toEqual([[5, 9], 9]);
});

describe("where one is", () => {
  test("addresses and screens agree", () => {
    const conversation = "ab".repeat(32);
    for (const path of ["/", `/chat/${conversation}`, `/chat/${conversation}/info`, "/settings", "/settings/devices"]) {
      expect(routePath(parseRoute(path))).toBe(path);
    }
    for (const path of ["", "/chat/../..", "/chat/xyz", "/settings/none", "/javascript:alert(1)"]) {
      expect(parseRoute(path)).toEqual({ kind: "list" });
    }
  });

  test("a chat begins with a handle, and what is wrong is told", async () => {
    const { session, iris } = await started();
    expect(await session.startChat(" @Bob ")).toBe("");
    expect(session.open.value?.chat.peer).toBe(BOB);
    expect(await session.startChat("nobody")).toContain("Nobody here");
    expect(await session.startChat("ada")).toContain("That is you");
    iris.offline = true;
    expect(await session.startChat("carl")).toContain("cannot be reached");
  });

  test("leaving a chat keeps its draft", async () => {
    const { session, iris } = await started();
    await session.startChat("bob");
    session.open.value?.composer.type("later");
    session.openChat(iris.conversationWith(CARL));
    await settle();
    expect((await iris.conversation(iris.conversationWith(BOB))).draft).toBe("later");
  });

  test("a hidden page keeps its draft", async () => {
    const { session, iris, ports } = await started();
    await session.startChat("bob");
    session.open.value?.composer.type("closing");
    ports.hide();
    await settle();
    expect((await iris.conversation(iris.conversationWith(BOB))).draft).toBe("closing");
  });

  test("those on screen are watched", async () => {
    const { session, iris } = await started((iris) => void iris.arrive(CARL, "hi", 1000, true));
    expect(iris.watched).toEqual([CARL]);
    await session.startChat("bob");
    expect([...iris.watched].sort()).toEqual([BOB, CARL]);
  });
});

describe("the connection", () => {
  test("says what it does, and nothing while it is live", async () => {
    const { session, iris, ports } = await started();
    const banner = () => session.connection.banner.value;
    expect(banner()).toBeUndefined();
    iris.connect({ state: "offline", retryAt: ports.now() + 10_000 });
    expect(banner()).toBeUndefined(); // a short break shows nothing
    await ports.pass(1_000);
    expect(banner()?.text).toBe("Offline. Next try in 9 seconds.");
    await ports.pass(8_000);
    expect(banner()?.text).toBe("Offline. Next try in 1 second.");
    iris.connect({ state: "connecting" });
    expect(banner()?.text).toBe("Connecting…");
    iris.connect({ state: "catching_up", done: 300, total: 10_000 });
    expect(banner()?.text).toBe("Catching up: 300 of 10,000");
    iris.connect({ state: "catching_up", done: 3, total: 0 });
    expect(banner()?.text).toBe("Catching up…");
    iris.connect({ state: "live" });
    expect(banner()).toBeUndefined();
  });

  test("a revoked device is told so, and logs in again", async () => {
    const { session, iris, left } = await started();
    iris.connect({ state: "closed", reason: "TOKEN_REVOKED" });
    expect(session.connection.banner.value?.action).toBe("again");
    await session.logInAgain();
    expect(left).toEqual(["revoked"]);
  });

  test("a tab whose profile was closed or removed elsewhere says so, and can be used again", async () => {
    const { session, iris } = await started();
    iris.connect({ state: "closed", reason: "ProfileError" });
    expect(session.connection.banner.value).toMatchObject({
      action: "here",
      text: expect.stringContaining("another tab"),
    });
  });

  test("nobody is online or typing for somebody who is not connected", async () => {
    const { session, iris } = await started();
    iris.connect({ state: "catching_up" });
    iris.emit({ kind: "presence", presence: { user: BOB, status: "online", lastSeen: 0 } });
    iris.emit({ kind: "typing", conversation: iris.conversationWith(BOB), sender: BOB, active: true });
    expect(session.people.presence(BOB)?.status).toBe("online");
    expect(session.people.typing(iris.conversationWith(BOB))).toEqual([BOB]);
    iris.connect({ state: "offline" });
    expect(session.people.presence(BOB)).toBeUndefined();
    expect(session.people.typing(iris.conversationWith(BOB))).toEqual([]);
  });
});

describe("notifications", () => {
  test("only when asked for, behind other pages, not muted, and fresh", async () => {
    const { session, iris, ports } = await started();
    ports.front = false;
    iris.arrive(BOB, "one");
    expect(ports.shown).toEqual([]);
    await session.preferences.setNotify(true);
    session.people.nameOf(BOB);
    await settle();
    iris.arrive(BOB, "two");
    expect(ports.shown).toEqual([
      { title: "Bob", body: "two", tag: iris.conversationWith(BOB), path: `/chat/${iris.conversationWith(BOB)}` },
    ]);
    session.preferences.setPreview(false);
    iris.arrive(BOB, "secret");
    expect(ports.shown.at(-1)?.body).toBe("New message");
    iris.arrive(BOB, "caught up", ports.now() - 3_600_000);
    ports.front = true;
    iris.arrive(BOB, "in front");
    ports.front = false;
    await iris.mute(iris.conversationWith(BOB), ports.now() + 1000);
    await ports.pass(50);
    iris.arrive(BOB, "muted");
    expect(ports.shown).toHaveLength(2);
  });

  test("a refusal of the browser is kept to", async () => {
    const { session, ports } = await started((_iris, ports) => {
      ports.answer = "denied";
    });
    await session.preferences.setNotify(true);
    expect(session.preferences.notify.value).toBe(false);
    expect(ports.store.get("notify")).toBe("no");
  });
});

describe("people and settings", () => {
  test("my name for a contact comes first, then theirs, then the handle", async () => {
    const { session } = await started();
    const name = () => session.people.nameOf(BOB);
    name();
    await settle();
    expect(name()).toBe("Bob");
    await session.people.addContact(BOB, "Bobby");
    expect(name()).toBe("Bobby");
    session.people.nameOf(CARL);
    await settle();
    expect(session.people.nameOf(CARL)).toBe("@carl");
  });

  test("lists are there without a server, as last heard", async () => {
    const { session, iris, ports } = await started((iris) => {
      iris.contactsThere.set(BOB, { user: BOB, name: "Bobby", addedAt: 1 });
      iris.blocksThere.add(CARL);
    });
    void session;
    iris.offline = true;
    const later = new SessionModel(iris, new PreferencesModel(ports), ports, () => {});
    await later.start();
    await settle();
    expect(later.people.nameOf(BOB)).toBe("Bobby");
    expect(later.people.blocks.value.has(CARL)).toBe(true);
  });

  test("a privacy change that fails is taken back", async () => {
    const { session, iris } = await started();
    await session.settings.loadMe();
    await session.settings.setPrivacy({ presence: "nobody" });
    expect(iris.me.privacy.presence).toBe("nobody");
    iris.offline = true;
    await session.settings.setPrivacy({ presence: "everyone" });
    expect(session.settings.me.value?.privacy.presence).toBe("nobody");
    expect(session.settings.failure.value).toContain("cannot be reached");
  });

  test("this device stands first, another one can be unlinked", async () => {
    const { session, iris } = await started();
    const device = (n: number, current: boolean) => ({
      device: n,
      name: `d${n}`,
      linkedAt: 1,
      seenAt: n,
      online: false,
      current,
    });
    iris.devicesThere = [device(3, false), device(2, true), device(4, false)];
    await session.settings.loadDevices();
    expect(session.settings.devices.value?.map((one) => one.device)).toEqual([2, 4, 3]);
    await session.settings.unlink(4);
    expect(session.settings.devices.value?.map((one) => one.device)).toEqual([2, 3]);
  });

  test("a log-out that does not reach the server says so and stays", async () => {
    const { session, iris, left } = await started();
    iris.offline = true;
    await session.logOut(false);
    expect(left).toEqual([]);
    expect(session.dialog.note.value).toContain("cannot be reached");
    iris.offline = false;
    await session.logOut(false);
    expect(left).toEqual(["loggedOut"]);
  });
});
