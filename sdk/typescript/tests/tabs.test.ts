/** What the tab that holds the connection must not miss. In virtual time, on sockets that a test speaks for. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, it, vi } from "vitest";
import type { Account, Api } from "../src/api.js";
import { LIMITS } from "../src/catalogue.js";
import type { OpenOptions } from "../src/client.js";
import { Connectivity } from "../src/connectivity.js";
import type { Event } from "../src/events.js";
import { fromHex, userText } from "../src/ids.js";
import { IrisClient } from "../src/iris.js";
import { ClientFrameSchema, ServerFrameSchema } from "../src/pb/frames_pb.js";
import { People } from "../src/people.js";
import { ProfileStore } from "../src/store/store.js";
import { Watched } from "../src/tabs.js";
import type { TokenKeeper } from "../src/tokens.js";
import { ADA, BOB, fromBob, idOf, openStore, TALK } from "./profiles.js";
import { soon, Virtual } from "./virtual.js";

afterEach(() => vi.restoreAllMocks());

it("the tab that spoke last is watched for first, and one that is gone no longer", () => {
  const watched = new Watched();
  watched.set("one", ["a", "b"]);
  watched.set("two", ["c", "a"]);
  expect(watched.all()).toEqual(["c", "a", "b"]);
  watched.set("one", ["d"]);
  expect(watched.all()).toEqual(["d", "c", "a"]);
  watched.set("two", []);
  expect(watched.all()).toEqual(["d"]);
  for (let i = 0; i < 100; i++) watched.set(`tab ${i}`, [`user ${i}`]);
  expect(watched.all()).toHaveLength(32);
  expect(watched.all()[0]).toBe("user 99");
});

it("who types is known of so many conversations, and of none without a connection", () => {
  const platform = new Virtual().platform();
  const address = { apiUrl: "", connectUrl: "" };
  const parts = {
    store: {} as ProfileStore,
    tokens: {} as TokenKeeper,
    platform,
    address,
    limits: LIMITS,
    profile: "p",
  };
  const told: Event[] = [];
  const nothing = () => undefined;
  const tab = new Connectivity(parts, { tell: (event) => told.push(event), committed: nothing, failed: nothing });
  const holder = platform.openChannel("iris/p");
  const connection = { state: "live", reason: "", done: 0, total: 0, retryAt: 0 } as const;
  holder.post({ kind: "connection", connection });
  for (let n = 0; n < 1100; n++) holder.post({ kind: "typing", conversation: idOf(n), sender: BOB, active: true });
  expect([tab.typingIn(idOf(0)), tab.typingIn(idOf(1099))]).toEqual([[], [userText(BOB)]]);
  told.length = 0;
  holder.post({ kind: "connection", connection: { ...connection, state: "connecting" } });
  expect(tab.typingIn(idOf(1099))).toEqual([]);
  expect(told.filter((event) => event.kind === "typing" && !event.active)).toHaveLength(1024);
});

it("names are asked for so many at once", async () => {
  const answers: ((account: Account) => void)[] = [];
  const user = (): Promise<Account> => new Promise((resolve) => answers.push(resolve));
  const store = await openStore();
  const people = new People(store, { user } as unknown as Api, new Virtual().platform(), ADA, () => undefined);
  const asked = Array.from({ length: 300 }, (_, n) => people.profile(idOf(n)));
  await soon(() => answers.length === 256);
  expect(await asked[299]).toBeUndefined();
  answers[0]?.({ user: userText(idOf(0)), handle: "h", name: "N" });
  expect(await asked[0]).toMatchObject({ handle: "h" });
  const again = people.profile(idOf(299));
  await soon(() => answers.length === 257);
  answers[256]?.({ user: userText(idOf(299)), handle: "later", name: "" });
  expect(await again).toMatchObject({ handle: "later" });
});

it("what is asked for while the connection is taken over is not forgotten", async () => {
  const world = new Virtual();
  const session = { user_id: userText(ADA), handle: "ada", device: 1, access_token: "a", refresh_token: "r" };
  const answer = JSON.stringify({ ...session, expires_at: 2e12 });
  const platform = world.platform(async () => new Response(answer, { status: 201 }));
  const options: OpenOptions = { server: "http://127.0.0.1:1", platform, profile: "taken-over" };
  const given = { handle: "ada", password: "p", deviceName: "d" };
  await (await IrisClient.logIn({ ...options, hold: false }, given)).close();

  let goOn: (() => void) | undefined;
  const { hold } = ProfileStore.prototype;
  vi.spyOn(ProfileStore.prototype, "hold").mockImplementation(async function (this: ProfileStore, name) {
    const held = await hold.call(this, name);
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    return held;
  });
  const client = await IrisClient.open(options);
  await soon(() => goOn !== undefined);
  const store = await ProfileStore.open("iris/taken-over", () => undefined);
  const holder = String(await store.getMeta("holder"));
  await store.apply([fromBob(1, 10)], holder);
  await client.send(TALK, "in between");
  await client.markRead(TALK);
  goOn?.();

  await soon(() => world.sockets.length === 1);
  world.socket.onopen?.();
  const kinds = () => world.socket.sent.map((data) => fromBinary(ClientFrameSchema, data).body.case);
  await soon(() => kinds().includes("hello"));
  const value = { user: fromHex(ADA), device: 1, time: BigInt(world.time) };
  world.socket.says(toBinary(ServerFrameSchema, create(ServerFrameSchema, { body: { case: "welcome", value } })));
  await soon(() => kinds().includes("send") && kinds().includes("read"));
  store.close();
  await client.close();
});
