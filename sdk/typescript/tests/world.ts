/** People with clients for tests on a real server: each "tab" has a platform that can be made to die. */

import "fake-indexeddb/auto";
import { openDB } from "idb";
import type { IrisClient as Client, OpenOptions } from "../src/client.js";
import type { Event, Message } from "../src/events.js";
import { IrisClient } from "../src/iris.js";
import { nodePlatform } from "../src/platform/node.js";
import type { Platform, Socket } from "../src/platform/platform.js";
import type { ProfileSchema } from "../src/store/schema.js";
import { databaseName } from "../src/tabs.js";

export const PASSWORD = "correct horse battery";
const DEADLINE_MS = 60_000;

/** A platform whose tab can end without a word: no timers, no sockets, its locks free, its messages gone. */
export function mortal(): { platform: Platform; die(): void; cut(): void } {
  const base = nodePlatform("iris-test/0.1");
  const sockets = new Set<Socket>();
  const over = new AbortController();
  const dead = () => over.signal.aborted;
  const death = new Promise<never>((_, reject) =>
    over.signal.addEventListener("abort", () => reject(new Error("dead"))),
  );
  death.catch(() => undefined);
  const cut = () => {
    for (const socket of sockets) (socket as unknown as { terminate?(): void }).terminate?.();
  };
  const platform: Platform = {
    ...base,
    fetch: (...given) => (dead() ? death : base.fetch(...given)),
    openSocket: (url, protocols) => {
      if (dead()) throw new Error("dead");
      const socket = base.openSocket(url, protocols);
      sockets.add(socket);
      return socket;
    },
    openChannel: (name) => {
      const channel = base.openChannel(name);
      const post = channel.post;
      channel.post = (message) => {
        if (!dead()) post(message);
      };
      over.signal.addEventListener("abort", () => channel.close());
      return channel;
    },
    locked: (name, signal, work) => base.locked(name, signal, () => (dead() ? death : Promise.race([work(), death]))),
    later: (ms, work) => base.later(ms, () => dead() || work()),
  };
  const die = () => {
    for (const socket of sockets) socket.onmessage = socket.onclose = null;
    over.abort();
    cut();
  };
  return { platform, die, cut };
}

export class Person {
  client!: Client;
  readonly seen: Event[] = [];
  private tab = mortal();

  constructor(
    readonly server: string,
    readonly handle: string,
    readonly profile = `${handle}-${Math.random()}`,
  ) {}

  get options(): OpenOptions {
    return { server: this.server, platform: this.tab.platform, profile: this.profile };
  }

  async join(): Promise<this> {
    await IrisClient.api(this.options).register({ handle: this.handle, password: PASSWORD, name: this.handle });
    return await this.logIn();
  }

  async logIn(): Promise<this> {
    const given = { handle: this.handle, password: PASSWORD, deviceName: "test" };
    return this.use(await IrisClient.logIn(this.options, given));
  }

  /** Open the profile in a new tab. */
  async open(): Promise<this> {
    this.tab = mortal();
    return this.use(await IrisClient.open(this.options));
  }

  private use(client: Client): this {
    this.client = client;
    client.on((event) => this.seen.push(event));
    return this;
  }

  /** The tab ends without a word. */
  die(): void {
    this.tab.die();
  }

  /** The network breaks. */
  cut(): void {
    this.tab.cut();
  }

  /** Wait until it is true; looks again after every event. */
  async until<T>(what: string, look: (client: Client) => Promise<T> | T): Promise<NonNullable<T>> {
    const { client } = this;
    let again = () => undefined as unknown;
    const end = client.on(() => again());
    const deadline = Date.now() + DEADLINE_MS;
    try {
      for (;;) {
        const changed = new Promise<void>((resolve) => {
          again = () => resolve();
        });
        const found = await look(client);
        if (found) return found as NonNullable<T>;
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`${this.handle}: ${what}: not within ${DEADLINE_MS} ms`);
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<void>((resolve) => {
          timer = setTimeout(resolve, left);
        });
        await Promise.race([changed, late]);
        clearTimeout(timer);
      }
    } finally {
      end();
    }
  }

  live(): Promise<boolean> {
    return this.until("live", (client) => client.connection.state === "live");
  }

  /** Everything of a conversation. */
  async all(conversation: string): Promise<readonly Message[]> {
    return (await this.client.messages(conversation, { limit: 100_000 })).messages;
  }

  /** The texts of a conversation. */
  async texts(conversation: string): Promise<string[]> {
    return (await this.all(conversation)).map(({ body }) => (body.kind === "text" ? body.text : body.kind));
  }

  /** What was said, as it lies in the database. */
  async kept(): Promise<string> {
    const db = await openDB<ProfileSchema>(databaseName(this.profile));
    const rows = await db.getAll("history");
    db.close();
    return rows.map((row) => new TextDecoder().decode(row.payload)).join("|");
  }

  /** Another tab of the same profile. */
  async another(): Promise<Person> {
    const other = new Person(this.server, this.handle, this.profile);
    return await other.open();
  }
}
