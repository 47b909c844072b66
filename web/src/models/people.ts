/** Who people are: names, my contacts, whom I have blocked, who is online, who is typing. */

import type { Contact, IrisClient, Presence, Profile } from "@iris-im/sdk";
import { type Signal, signal } from "@preact/signals-core";
import { Kept } from "./kept.js";
import { colourOf, initials } from "./words.js";

const CONTACTS = "contacts"; // settings of the profile: the lists as last heard, for when there is no server
const BLOCKS = "blocks";
const OWN = "own names";
const WATCHES_MAX = 200; // below the server's 256, whose rest is for whoever else watches
// Above these limits whoever is not on the screen is forgotten, and asked for again when shown.
export const PROFILES_MAX = 2_000;
export const PRESENCES_MAX = 1_000;
export const TYPERS_MAX = 1_000;

export class PeopleModel {
  readonly contacts = signal<ReadonlyMap<string, Contact>>(new Map());
  readonly blocks = signal<ReadonlySet<string>>(new Set());
  private readonly profiles = new Kept<Profile | undefined>(PROFILES_MAX);
  private readonly presences = new Kept<Presence | undefined>(PRESENCES_MAX);
  private readonly typers = new Kept<readonly string[]>(TYPERS_MAX);
  /** My user id. */
  readonly me: string;
  private watched = "";

  constructor(private readonly client: IrisClient) {
    this.me = client.user;
  }

  /** Reads the lists as last heard, then asks the server; without it they stay as they are. */
  async start(): Promise<void> {
    const kept = [CONTACTS, BLOCKS, OWN].map((name) => this.client.setting(name));
    const [contacts, blocks, own] = await Promise.all(kept);
    if (own !== undefined) this.onProfile(own as Profile);
    if (Array.isArray(contacts)) this.setContacts(contacts as Contact[]);
    if (Array.isArray(blocks)) this.blocks.value = new Set(blocks as string[]);
    await this.refresh();
  }

  async refresh(): Promise<void> {
    for (const [user, found] of this.profiles.all()) if (found.peek() === undefined) this.ask(user, found);
    try {
      const { api } = this.client;
      const [contacts, blocks, me] = await Promise.all([api.contacts(), api.blocks(), api.me()]);
      await this.setOwnNames(me);
      this.setContacts(contacts);
      this.blocks.value = new Set(blocks);
      await this.client.setSetting(CONTACTS, contacts);
      await this.client.setSetting(BLOCKS, blocks);
    } catch {
      // Offline, or the server is busy: what was last heard stands, and the next connection asks again.
    }
  }

  /** What is known of somebody's names; asked for when it is not. */
  profile(user: string): Profile | undefined {
    let found = this.profiles.find(user);
    if (found === undefined) {
      found = this.profiles.make(user, undefined);
      this.ask(user, found);
    }
    return found.value;
  }

  /** Nobody can say it now: the next connection asks again. */
  private ask(user: string, told: Signal<Profile | undefined>): void {
    this.client.profile(user).then(
      (profile) => {
        if (profile !== undefined) told.value = profile;
      },
      () => {},
    );
  }

  /** The name that is shown: mine for the contact, their own, the handle. */
  nameOf(user: string): string {
    if (user === this.client.user) return this.profile(user)?.name || `@${this.handleOf(user)}`;
    const mine = this.contacts.value.get(user)?.name;
    if (mine) return mine;
    const profile = this.profile(user);
    return profile?.name || (profile?.handle ? `@${profile.handle}` : user.slice(0, 6));
  }

  handleOf(user: string): string {
    return this.profile(user)?.handle || (user === this.client.user ? this.client.handle : "");
  }

  avatarOf(user: string): { readonly letters: string; readonly colour: number } {
    return { letters: initials(this.nameOf(user)), colour: colourOf(user) };
  }

  /** My own names, from whoever knows best: the account, or what I have just changed. */
  async setOwnNames({ user, handle, name }: Profile): Promise<void> {
    this.onProfile({ user, handle, name });
    await this.client.setSetting(OWN, { user, handle, name });
  }

  onProfile(profile: Profile): void {
    const found = this.profiles.find(profile.user);
    if (found === undefined) this.profiles.make(profile.user, profile);
    else found.value = profile;
  }

  // --- presence and typing ---

  presence(user: string): Presence | undefined {
    return this.presenceSignal(user).value;
  }

  onPresence(presence: Presence): void {
    this.presenceSignal(presence.user).value = presence;
  }

  /** The people on screen. */
  watch(users: Iterable<string>): void {
    const wanted = [...new Set(users)].slice(0, WATCHES_MAX).sort();
    const key = wanted.join();
    if (key === this.watched) return;
    this.watched = key;
    this.client.watch(wanted);
  }

  typing(conversation: string): readonly string[] {
    return this.typingSignal(conversation).value;
  }

  onTyping(conversation: string, sender: string, active: boolean): void {
    const found = this.typingSignal(conversation);
    const others = found.value.filter((one) => one !== sender);
    found.value = active && sender !== this.client.user ? [...others, sender] : others;
  }

  /** Nobody is known to be online or typing without a connection. */
  onDisconnected(): void {
    for (const [, one] of this.presences.all()) one.value = undefined;
    for (const [, one] of this.typers.all()) one.value = [];
  }

  // --- lists ---

  async addContact(user: string, name: string): Promise<void> {
    await this.client.api.putContact(user, name);
    const next = new Map(this.contacts.value);
    next.set(user, { user, name, addedAt: next.get(user)?.addedAt ?? 0 });
    await this.keepContacts(next);
  }

  async removeContact(user: string): Promise<void> {
    await this.client.api.deleteContact(user);
    const next = new Map(this.contacts.value);
    next.delete(user);
    await this.keepContacts(next);
  }

  async setBlocked(user: string, blocked: boolean): Promise<void> {
    await (blocked ? this.client.api.block(user) : this.client.api.unblock(user));
    const next = new Set(this.blocks.value);
    if (blocked) next.add(user);
    else next.delete(user);
    this.blocks.value = next;
    await this.client.setSetting(BLOCKS, [...next]);
  }

  private setContacts(contacts: readonly Contact[]): void {
    this.contacts.value = new Map(contacts.map((one) => [one.user, one]));
  }

  private async keepContacts(contacts: ReadonlyMap<string, Contact>): Promise<void> {
    this.contacts.value = contacts;
    await this.client.setSetting(CONTACTS, [...contacts.values()]);
  }

  private presenceSignal(user: string): Signal<Presence | undefined> {
    return this.presences.find(user) ?? this.presences.make(user, this.client.presence(user));
  }

  private typingSignal(conversation: string): Signal<readonly string[]> {
    return this.typers.find(conversation) ?? this.typers.make(conversation, this.client.typing(conversation));
  }
}
