/** Everything that is there while somebody is logged in: it owns the other models and hands each event to those it concerns. */

import type { Event, IrisClient, Message, TextContent } from "@iris-im/sdk";
import { batch, computed, effect, type ReadonlySignal, signal } from "@preact/signals-core";
import { t } from "../i18n/index.js";
import { ChatModel } from "./chat.js";
import { ComposerModel } from "./composer.js";
import { ConnectionModel } from "./connection.js";
import { DialogModel } from "./dialog.js";
import { LinkingModel } from "./linking.js";
import { ListModel } from "./list.js";
import { MentionsModel } from "./mentions.js";
import { Notifier } from "./notifier.js";
import { PeopleModel } from "./people.js";
import type { Ports } from "./ports.js";
import type { PreferencesModel } from "./preferences.js";
import { parseRoute, type Route, routePath } from "./route.js";
import { SettingsModel } from "./settings.js";
import { errorText } from "./words.js";

const WATCHED_LINES = 100;

export interface OpenChat {
  readonly chat: ChatModel;
  readonly composer: ComposerModel;
}

export class SessionModel {
  readonly people: PeopleModel;
  readonly list: ListModel;
  readonly connection: ConnectionModel;
  readonly settings: SettingsModel;
  readonly linking: LinkingModel;
  readonly dialog: DialogModel;
  readonly route = signal<Route>({ kind: "list" });
  readonly open = signal<OpenChat | undefined>(undefined);
  /** The server could not keep all for this device. */
  readonly gapAt = signal(0);
  /** ... and all the times at which it could not, as the profile keeps them. */
  readonly gaps = signal<readonly number[]>([]);
  readonly user: string;
  readonly selected: ReadonlySignal<string | undefined> = computed(() => this.open.value?.chat.conversation);
  private readonly notifier: Notifier;
  private readonly ends: (() => void)[] = [];
  private wasLive = false;

  constructor(
    readonly client: IrisClient,
    readonly preferences: PreferencesModel,
    readonly ports: Ports,
    private readonly left: (why: "loggedOut" | "revoked") => void,
  ) {
    this.user = client.user;
    this.people = new PeopleModel(client);
    this.list = new ListModel(client, this.people, ports);
    this.connection = new ConnectionModel(client, ports);
    this.settings = new SettingsModel(client, (me) => void this.people.setOwnNames(me));
    this.linking = new LinkingModel(client, ports, (devices) => this.settings.show(devices));
    this.dialog = new DialogModel(ports);
    this.notifier = new Notifier(this.list, this.people, preferences, ports);
  }

  async start(): Promise<void> {
    this.ends.push(this.client.on((event) => this.onEvent(event)));
    await Promise.all([this.list.start(), this.readGaps()]);
    this.ends.push(this.ports.address.onChange((path) => this.show(parseRoute(path))));
    this.show(parseRoute(this.ports.address.current()));
    this.ends.push(
      this.ports.onFront(() => this.cameToFront()),
      this.ports.onHide(() => void this.open.value?.composer.flush()),
      effect(() => this.ports.setTitle(this.notifier.title())),
      effect(() => this.people.watch(this.onScreen())),
    );
    void this.connection.count();
    void this.people.start(); // asks the server: the screen does not wait for it
  }

  private async readGaps(): Promise<void> {
    this.gaps.value = await this.client.gaps();
  }

  // --- where the user is ---

  go(route: Route, replace = false): void {
    this.ports.address.go(routePath(route), replace);
    this.show(route);
  }

  openChat(conversation: string): void {
    const here = this.route.value;
    // From chat to chat the way back leads to the list, not through all of them.
    this.go({ kind: "chat", conversation, info: false }, here.kind === "chat");
  }

  showInfo(info: boolean): void {
    const chat = this.open.value?.chat;
    if (chat !== undefined) this.go({ kind: "chat", conversation: chat.conversation, info }, true);
  }

  back(): void {
    const here = this.route.value;
    if (here.kind === "settings" && here.page !== "") this.go({ kind: "settings", page: "" }, true);
    else if (here.kind === "settings" && this.open.value !== undefined) {
      // On a wide screen the chat was beside them all the time.
      this.go({ kind: "chat", conversation: this.open.value.chat.conversation, info: false }, true);
    } else this.go({ kind: "list" }, true);
  }

  private show(route: Route): void {
    const chat = route.kind === "chat" ? route.conversation : undefined;
    batch(() => {
      this.route.value = route;
      if (route.kind === "settings") this.settings.fresh();
      if (route.kind === "settings") return; // the chat stays beside it on a wide screen
      if (chat === this.open.value?.chat.conversation) return;
      const before = this.open.value;
      if (before !== undefined) void before.composer.close();
      this.open.value = chat === undefined ? undefined : this.begin(chat);
    });
  }

  private begin(conversation: string): OpenChat {
    const chat = new ChatModel(this.client, conversation, this.ports, this.gaps);
    const mentions = new MentionsModel(this.people, () => this.acquaintances(chat.peer));
    const opened = { chat, composer: new ComposerModel(this.client, conversation, this.ports, mentions) };
    void opened.chat.open().then(() => {
      if (this.open.value === opened && opened.chat.atEnd.value) opened.chat.readAll();
    });
    void opened.composer.open();
    return opened;
  }

  /** Whom one may mean in a chat. */
  private *acquaintances(peer: string): Iterable<string> {
    yield peer;
    for (const line of this.list.all.value) yield line.peer;
    yield* this.people.contacts.value.keys();
  }

  private *onScreen(): Iterable<string> {
    const chat = this.open.value?.chat;
    if (chat !== undefined) yield chat.peer;
    for (const line of this.list.shown.value.slice(0, WATCHED_LINES)) yield line.peer;
  }

  private cameToFront(): void {
    const chat = this.open.value?.chat;
    if (chat?.atEnd.value) chat.readAll();
  }

  // --- events ---

  private onEvent(event: Event): void {
    const chat = this.open.value?.chat;
    switch (event.kind) {
      case "messages":
        if (chat?.conversation === event.conversation) chat.onMessages(event.added, event.changed);
        this.notifier.onMessages(event.conversation, event.added);
        if (event.added.some((one) => one.own) || event.changed.length > 0) void this.connection.count();
        return;
      case "removed":
        if (chat?.conversation === event.conversation) chat.onRemoved(event.messageIds);
        return;
      case "conversation":
        this.list.onConversation(event.conversation);
        return;
      case "gap":
        this.gapAt.value = event.at;
        void this.readGaps();
        return;
      case "presence":
        this.people.onPresence(event.presence);
        return;
      case "typing":
        this.people.onTyping(event.conversation, event.sender, event.active);
        return;
      case "profile":
        this.people.onProfile(event.profile);
        return;
      case "connection":
        this.connection.onConnection(event.connection);
        if (!this.connection.live.value && this.wasLive) this.people.onDisconnected();
        if (event.connection.state === "live" && !this.wasLive) void this.people.refresh();
        this.wasLive = this.connection.live.value;
        return;
    }
  }

  // --- what a user does ---

  /** Runs something that may fail and says so. */
  async attempt(work: () => Promise<unknown>, done = ""): Promise<boolean> {
    try {
      await work();
      if (done !== "") this.dialog.tell(done);
      return true;
    } catch (error) {
      this.dialog.tell(errorText(error));
      return false;
    }
  }

  /** A chat with somebody, by handle. Empty when it is open, else what is wrong. */
  async startChat(handle: string): Promise<string> {
    try {
      const user = await this.client.resolve(`@${handle.trim().replace(/^@/, "").toLowerCase()}`);
      if (user === this.user) return t("error.SELF");
      this.dialog.close();
      this.openChat(this.client.conversationWith(user));
      return "";
    } catch (error) {
      return errorText(error);
    }
  }

  /** Write to somebody who is known. */
  writeTo(user: string): void {
    this.dialog.close();
    this.openChat(this.client.conversationWith(user));
  }

  async forward({ text, mentions }: Pick<TextContent, "text" | "mentions">, to: string): Promise<void> {
    this.dialog.close();
    await this.attempt(
      () => this.client.send(to, { text, mentions: mentions ?? [], forwarded: true }),
      t("forward.done", { name: this.people.nameOf(this.client.peerOf(to)) }),
    );
  }

  async copy(message: Message): Promise<void> {
    if (message.body.kind !== "text") return;
    const { text } = message.body;
    await this.attempt(() => this.ports.copy(text), t("profile.copied"));
  }

  async block(user: string, blocked: boolean): Promise<void> {
    await this.attempt(() => this.people.setBlocked(user, blocked));
  }

  /** Log out here; the profile goes. */
  async logOut(force: boolean): Promise<void> {
    await this.open.value?.composer.close();
    if (await this.attempt(() => this.client.logOut({ force }))) this.end("loggedOut");
  }

  /** The device was logged out elsewhere: the history stays, the log-in is new. */
  async logInAgain(): Promise<void> {
    await this.client.close();
    this.end("revoked");
  }

  end(why: "loggedOut" | "revoked"): void {
    for (const end of this.ends.splice(0)) end();
    if (why === "loggedOut") this.ports.address.go("/", true);
    this.left(why);
  }
}
