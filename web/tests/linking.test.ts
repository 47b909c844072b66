/** Letting a new device in: the code that is shown, the link that is opened, the log-in with a code. */

import { ApiError, type IrisClient, type IrisClients, type OpenOptions, type ProfileInfo } from "@iris-im/sdk";
import { describe, expect, test } from "vitest";
import { AppModel } from "../src/models/app.js";
import { LinkingModel, parseLink } from "../src/models/linking.js";
import { PreferencesModel } from "../src/models/preferences.js";
import { SessionModel } from "../src/models/session.js";
import { countdown } from "../src/models/words.js";
import { FakeIris } from "./fake.js";
import { FakePorts, settle } from "./ports.js";

const device = (n: number, name = `d${n}`) => ({
  ...{ device: n, name, linkedAt: 1, seenAt: n, online: false, current: n === 1 },
});

function shower() {
  const ports = new FakePorts();
  const iris = new FakeIris(() => ports.now());
  iris.devicesThere = [device(1), device(2)];
  const session = new SessionModel(iris, new PreferencesModel(ports), ports, () => {});
  return { ports, iris, session, linking: session.linking };
}

describe("a code that is shown", () => {
  test("is there to scan and to type, and counts down by the server's time", async () => {
    const { ports, linking } = shower();
    await linking.start();
    expect(linking.shown.value).toEqual({
      code: "7K3M-9QX1",
      link: "http://127.0.0.1:8460/#link=ada.7K3M-9QX1",
      endsAt: ports.now() + 300_000,
    });
    expect(linking.secondsLeft.value).toBe(300);
    await ports.pass(61_000);
    expect(linking.secondsLeft.value).toBe(239);
    expect(countdown(239)).toBe("3:59");
    await ports.pass(238_000);
    expect(linking.shown.value?.code).toBe("7K3M-9QX1");
    await ports.pass(1_000);
    expect(linking.shown.value).toBeUndefined();
    expect(linking.over.value).toBe(true);
    await linking.start();
    expect(linking.shown.value?.code).toBe("7K3M-9QX2");
    expect(linking.over.value).toBe(false);
  });

  test("gives way to the device that was linked, which is in the list", async () => {
    const { ports, iris, session, linking } = shower();
    await linking.start();
    await ports.pass(10_000);
    expect(linking.linked.value).toEqual([]);
    iris.devicesThere = [...iris.devicesThere, device(3, "Phone")];
    await ports.pass(2_000);
    expect(linking.linked.value.map((one) => one.name)).toEqual(["Phone"]);
    expect(linking.shown.value).toBeUndefined();
    expect(session.settings.devices.value?.map((one) => one.device)).toEqual([1, 3, 2]);
    iris.devicesThere = [device(1)];
    await ports.pass(10_000);
    expect(session.settings.devices.value).toHaveLength(3); // nobody looks any more
  });

  test("the last moment counts: what was linked just before the end is told", async () => {
    const { ports, iris, linking } = shower();
    await linking.start();
    await ports.pass(299_000);
    iris.devicesThere = [...iris.devicesThere, device(3, "Phone")];
    await ports.pass(1_000);
    expect(linking.linked.value.map((one) => one.name)).toEqual(["Phone"]);
    expect(linking.over.value).toBe(false);
  });

  test("without a network there is none, and a look that fails is tried again", async () => {
    const { ports, iris, linking } = shower();
    iris.offline = true;
    await linking.start();
    expect(linking.failure.value).toContain("cannot be reached");
    expect(linking.busy.value).toBe(false);
    iris.offline = false;
    await linking.start();
    expect(linking.failure.value).toBe("");
    iris.offline = true;
    await ports.pass(5_000);
    expect(linking.failure.value).toBe("");
    iris.offline = false;
    iris.devicesThere = [...iris.devicesThere, device(3, "Phone")];
    await ports.pass(2_000);
    expect(linking.linked.value).toHaveLength(1);
  });

  test("hidden while it is asked for, it is not shown", async () => {
    const { linking } = shower();
    const asked = linking.start();
    linking.stop();
    await asked;
    expect(linking.shown.value).toBeUndefined();
  });
});

describe("a link", () => {
  test.each([
    ["link=ada.7K3M-9QXT", { handle: "ada", code: "7K3M-9QXT" }],
    ["link=@Ada.l.7k3m9qxt", { handle: "ada.l", code: "7k3m9qxt" }],
    ["link=ada.7K3M-9QXT&pin=3b1f", { handle: "ada", code: "7K3M-9QXT" }],
    ["link=ada.7K3M", undefined],
    ["link=ada.7K3M-9QXT<b>", undefined],
    ["link=7K3M-9QXT", undefined],
    ["/settings/devices", undefined],
    ["", undefined],
  ])("%s", (path, said) => expect(parseLink(path)).toEqual(said));
});

/** What was asked of a server that knows the code 7K3M9QXT, and a page that looks at `path`. */
async function page(path: string, kept?: ProfileInfo) {
  const ports = new FakePorts();
  ports.path = path;
  const iris = new FakeIris(() => ports.now());
  const given: unknown[] = [];
  const clients: IrisClients = {
    profile: async () => kept,
    open: async () => iris,
    logIn: async (_options: OpenOptions, what): Promise<IrisClient> => {
      given.push(what);
      if (!("code" in what) || what.code !== "7K3M9QXT") throw new ApiError("LINK_CODE_INVALID", { status: 401 });
      return iris;
    },
    api: () => iris.api,
    erase: async () => {},
  };
  const options = { server: ports.origin } as OpenOptions; // the platform is the client's business
  const app = new AppModel(clients, options, ports);
  await app.start();
  await settle();
  const auth = () => {
    const phase = app.phase.value;
    if (phase.kind !== "out") throw new Error(`the page is ${phase.kind}`);
    return phase.auth;
  };
  return { app, ports, given, auth };
}

describe("a page that is opened by a link", () => {
  test("has the form filled in, keeps no code in its address, and waits for a click", async () => {
    const { app, ports, given, auth } = await page("link=ada.7K3M-9QXT");
    expect(ports.path).toBe("/");
    expect(auth().mode.value).toBe("link");
    expect([auth().handle.value, auth().code.value, auth().opened.value]).toEqual(["ada", "7K3M-9QXT", "ada"]);
    expect(given).toEqual([]);
    await auth().submit();
    await settle();
    expect(given).toEqual([{ handle: "ada", code: "7K3M9QXT", deviceName: "Test on Node" }]);
    expect(app.phase.value.kind).toBe("in");
  });

  test("takes a link that comes later too", async () => {
    const { ports, auth } = await page("");
    expect(auth().mode.value).toBe("register");
    ports.visit("link=ada.7K3M-9QXT");
    expect(auth().mode.value).toBe("link");
    expect(ports.path).toBe("/");
  });

  test("does nothing but say so where somebody is logged in", async () => {
    const kept = { server: "http://127.0.0.1:8460", user: "u", handle: "ada", device: 1 };
    const { app, ports, given } = await page("link=mallory.7K3M-9QXT", kept);
    expect(ports.path).toBe("/");
    expect(given).toEqual([]);
    const phase = app.phase.value;
    expect(phase.kind === "in" && phase.session.dialog.note.value).toContain("logged in as @ada already");
  });
});

describe("a log-in with a code", () => {
  test("asks for eight letters, and tells when they are wrong", async () => {
    const { given, auth } = await page("");
    auth().switchMode("link");
    auth().handle.value = "ada";
    auth().code.value = "7K3M";
    await auth().submit();
    expect(auth().failure.value).toBe("A code has 8 letters and digits.");
    expect(given).toEqual([]);
    auth().code.value = "0000-0000";
    await auth().submit();
    expect(auth().failure.value).toContain("was used, or is over");
    auth().switchMode("logIn");
    expect(auth().failure.value).toBe("");
  });
});

test("a model that is not used asks nobody", async () => {
  const { ports, iris } = shower();
  const linking = new LinkingModel(iris, ports, () => {
    throw new Error("nobody looked");
  });
  linking.stop();
  await ports.pass(60_000);
  expect(linking.shown.value).toBeUndefined();
});
