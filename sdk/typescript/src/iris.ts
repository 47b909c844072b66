/** How a client is made: look for a profile, log a device in, open it, erase it. */

import { deleteDB } from "idb";
import { parseServer } from "./address.js";
import type { Api, Proof, Session } from "./api.js";
import type { IrisClient as Client, IrisClients, OpenOptions, ProfileInfo } from "./client.js";
import { IrisError, Offline, ProfileError } from "./errors.js";
import { HttpApi } from "./http.js";
import { userRaw, userText } from "./ids.js";
import { OpenClient } from "./opened.js";
import { ProfileStore } from "./store/store.js";
import { databaseName } from "./tabs.js";
import { newNonce, tokenRows } from "./tokens.js";

const nameOf = ({ profile = "iris" }: OpenOptions): string => databaseName(profile);

const apiOf = ({ server, platform }: OpenOptions): Api => new HttpApi(parseServer(server), { fetch: platform.fetch });

async function identityOf(store: ProfileStore) {
  const [user, handle, device, server] = await Promise.all(
    ["user", "handle", "device", "server"].map((key) => store.getMeta(key)),
  );
  if (typeof user !== "string" || typeof server !== "string") return undefined;
  return { user, handle: String(handle), device: Number(device), address: parseServer(server) };
}

async function profile(options: OpenOptions): Promise<ProfileInfo | undefined> {
  const store = await ProfileStore.open(nameOf(options), () => undefined);
  try {
    const found = await identityOf(store);
    if (found === undefined) return undefined;
    const { user, handle, device, address } = found;
    return { server: address.apiUrl, user: userText(user), handle, device };
  } finally {
    store.close();
  }
}

async function open(options: OpenOptions): Promise<Client> {
  let client: OpenClient | undefined;
  let lost: string | undefined;
  const store = await ProfileStore.open(nameOf(options), (why) => {
    lost = why;
    client?.fail(new ProfileError(why));
  });
  try {
    const identity = await identityOf(store);
    if (identity === undefined) throw new ProfileError("no profile here: log in first");
    const { apiUrl } = parseServer(options.server);
    if (identity.address.apiUrl !== apiUrl) throw new ProfileError(`the profile is of ${identity.address.apiUrl}`);
    const position = Number((await store.getMeta("position")) ?? 0);
    if (lost !== undefined) throw new ProfileError(lost);
    client = new OpenClient(options, identity, store, position, () => erase(options));
    return client;
  } catch (error) {
    store.close();
    throw error;
  }
}

async function logIn(options: OpenOptions, given: Proof & { handle: string; deviceName: string }): Promise<Client> {
  const { platform } = options;
  const api = apiOf(options);
  const store = await ProfileStore.open(nameOf(options), () => undefined);
  try {
    const before = await identityOf(store);
    const session = await sessionOf(api, { ...given, nonce: newNonce(platform) });
    const fresh = tokenApi(options, session.accessToken);
    if (before !== undefined && before.user !== userRaw(session.user)) {
      await forget(fresh, undefined);
      throw new ProfileError(`this is the profile of another user (@${before.handle})`);
    }
    await write(store, options, session);
    platform.keepStorage();
    if (before !== undefined && before.device !== session.device) await forget(fresh, before.device);
  } finally {
    store.close();
  }
  return await open(options);
}

/** A lost answer is asked for again under the same nonce, so that it links one device and not two. */
async function sessionOf(
  api: Api,
  given: Proof & { handle: string; deviceName: string; nonce: string },
): Promise<Session> {
  try {
    return await api.logIn(given);
  } catch (error) {
    if (!(error instanceof Offline)) throw error;
    return await api.logIn(given);
  }
}

const tokenApi = ({ server, platform }: OpenOptions, token: string): Api =>
  new HttpApi(parseServer(server), { fetch: platform.fetch, token: async () => token });

/** Unlink a device that nobody uses, as well as it goes; it ends by itself in the end. */
async function forget(api: Api, device: number | undefined): Promise<void> {
  try {
    await (device === undefined ? api.logOut() : api.unlink(device));
  } catch (error) {
    if (!(error instanceof IrisError)) throw error;
  }
}

async function write(store: ProfileStore, options: OpenOptions, session: Session): Promise<void> {
  const { user, handle, device } = session;
  const now = options.platform.now();
  await store.transact(async (work) => {
    // A new device has a mailbox of its own; the history stays.
    if (work.device !== device) work.setMeta({ seq: 0, rev: 0 });
    const { apiUrl } = parseServer(options.server);
    work.setMeta({ user: userRaw(user), handle, device, server: apiUrl, ...tokenRows(session, now) });
  });
}

async function erase(options: OpenOptions): Promise<void> {
  await deleteDB(nameOf(options));
}

export type IrisClient = Client;
export const IrisClient: IrisClients = { profile, open, logIn, api: apiOf, erase };
