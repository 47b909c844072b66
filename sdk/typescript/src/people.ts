/** Names of users: what the profile knows, asked for anew when it is old. */

import type { Account, Api } from "./api.js";
import type { Id } from "./core/frames.js";
import { ApiError, IrisError, Offline } from "./errors.js";
import type { Profile } from "./events.js";
import { isConversation, isUserText, normalHandle, peerOf, userRaw, userText } from "./ids.js";
import type { Platform } from "./platform/platform.js";
import type { PersonRow } from "./store/schema.js";
import type { ProfileStore } from "./store/store.js";

const ASKS_MAX = 256; // names asked for at once; above it nobody is asked, and whoever wants the name asks again
const FRESH_MS = 3_600_000; // a handle may change hands: after this it is asked for again

export class People {
  private readonly asking = new Map<Id, Promise<Profile | undefined>>();

  /** `learned` is called when a name is new or has changed. */
  constructor(
    private readonly store: ProfileStore,
    private readonly api: Api,
    private readonly platform: Platform,
    private readonly me: Id,
    private readonly learned: (profile: Profile) => void,
  ) {}

  /** The user id of @handle, of a user or of a conversation, in hex. ApiError UNKNOWN_USER, Offline. */
  async resolve(who: string): Promise<Id> {
    if (isConversation(who)) return this.peer(who);
    if (isUserText(who)) return userRaw(who);
    const handle = normalHandle(who);
    const known = handle === undefined ? undefined : await this.store.personOf(handle);
    if (known !== undefined && this.fresh(known)) return known.user;
    try {
      const account = await this.api.handle(who);
      await this.learn(account);
      return userRaw(account.user);
    } catch (error) {
      if (known !== undefined && error instanceof Offline) return known.user;
      throw error;
    }
  }

  peer(conversation: string): Id {
    const peer = peerOf(conversation, this.me);
    if (peer === "") throw new ApiError("BAD_CONVERSATION", { code: 1012, detail: "not a conversation of this user" });
    return peer;
  }

  /** What is known at once, else what the server says; undefined when neither. */
  async profile(user: Id): Promise<Profile | undefined> {
    const known = await this.store.person(user);
    if (known !== undefined && this.fresh(known)) return profileOf(known);
    let asked = this.asking.get(user);
    if (asked === undefined && this.asking.size < ASKS_MAX) {
      asked = this.ask(user).finally(() => this.asking.delete(user));
      this.asking.set(user, asked);
    }
    return known === undefined ? await asked : profileOf(known);
  }

  private async ask(user: Id): Promise<Profile | undefined> {
    try {
      return await this.learn(await this.api.user(userText(user)));
    } catch (error) {
      if (error instanceof IrisError) return undefined; // cannot be told now
      throw error;
    }
  }

  async learn(account: Account): Promise<Profile> {
    const user = userRaw(account.user);
    const before = await this.store.person(user);
    const { handle, name } = account;
    await this.store.putPerson({ user, handle, name, seen_at: this.platform.now() });
    const profile = { user: account.user, handle, name };
    if (before?.handle !== handle || before.name !== name) this.learned(profile);
    return profile;
  }

  private fresh(person: PersonRow): boolean {
    const age = this.platform.now() - person.seen_at;
    return age >= 0 && age < FRESH_MS;
  }
}

const profileOf = ({ user, handle, name }: PersonRow): Profile => ({ user: userText(user), handle, name });
