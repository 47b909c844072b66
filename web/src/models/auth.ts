/** The first screen: make an account, log in, or log in with a link code. All end in an open client. */

import type { IrisClient, IrisClients, OpenOptions, ProfileInfo, ServerInfo } from "@iris-im/sdk";
import { computed, signal } from "@preact/signals-core";
import { t } from "../i18n/index.js";
import { readInvitation } from "./invitation.js";
import type { OpenedLink } from "./linking.js";
import { errorText } from "./words.js";

const HANDLE = /^@?[A-Za-z][A-Za-z0-9_.]{1,30}[A-Za-z0-9]$/;
const PASSWORD_MIN = 8;
const CODE_LETTERS = 8;

export class AuthModel {
  readonly mode = signal<"register" | "logIn" | "link">("register");
  readonly handle = signal("");
  readonly name = signal("");
  readonly password = signal("");
  readonly invite = signal("");
  readonly code = signal("");
  /** The handle of a link that this page was opened by: somebody else may have made it. */
  readonly opened = signal("");
  readonly shown = signal(false);
  readonly busy = signal(false);
  readonly failure = signal("");
  readonly server = signal<ServerInfo | undefined>(undefined);
  /** Whether this server takes new accounts at all. */
  readonly open = computed(() => this.server.value?.registration !== "closed");
  readonly needsInvite = computed(() => this.server.value?.registration === "invite");
  /** The profile of another person is in the way. */
  readonly otherProfile = computed(() => {
    const handle = this.handle.value.trim().replace(/^@/, "").toLowerCase();
    return this.kept !== undefined && handle !== "" && handle !== this.kept.handle ? this.kept.handle : "";
  });

  constructor(
    private readonly clients: IrisClients,
    private readonly options: OpenOptions,
    private readonly deviceName: string,
    readonly kept: ProfileInfo | undefined,
    private readonly entered: (client: IrisClient) => void,
  ) {
    if (kept !== undefined) {
      this.mode.value = "logIn";
      this.handle.value = kept.handle;
    }
  }

  async start(): Promise<void> {
    try {
      this.server.value = await this.clients.api(this.options).info();
      if (!this.open.value && this.mode.value === "register") this.mode.value = "logIn";
    } catch {
      // Not told: the form works, and the server has the last word.
    }
  }

  switchMode(mode: "register" | "logIn" | "link"): void {
    this.mode.value = mode;
    this.failure.value = "";
    this.opened.value = "";
  }

  /** The page was opened by a link that lets this device in: fill the form in. The user looks at it and goes on. */
  useLink({ handle, code }: OpenedLink): void {
    this.switchMode("link");
    this.handle.value = handle;
    this.code.value = code;
    this.opened.value = handle;
  }

  async submit(): Promise<void> {
    if (this.busy.value) return;
    const handle = this.handle.value.trim().replace(/^@/, "").toLowerCase();
    const password = this.password.value;
    const registers = this.mode.value === "register";
    const code = this.code.value.replace(/[^0-9A-Za-z]/g, "");
    if (!HANDLE.test(handle)) {
      this.failure.value = t("error.HANDLE_INVALID");
      return;
    }
    if (registers && [...password].length < PASSWORD_MIN) {
      this.failure.value = t("error.PASSWORD_SHORT");
      return;
    }
    if (this.mode.value === "link" && code.length !== CODE_LETTERS) {
      this.failure.value = t("error.CODE_INVALID");
      return;
    }
    const invitation = readInvitation(this.needsInvite.value ? this.invite.value : "", this.options.server);
    if (registers && invitation.kind !== "code") {
      this.failure.value =
        invitation.kind === "broken" ? t("error.INVITE_BROKEN") : t("error.INVITE_ELSEWHERE", { url: invitation.url });
      return;
    }
    this.busy.value = true;
    this.failure.value = "";
    try {
      if (registers) {
        const invite = invitation.kind === "code" && invitation.code !== "" ? { invite: invitation.code } : {};
        await this.clients.api(this.options).register({ handle, password, name: this.name.value.trim(), ...invite });
      }
      const proof = this.mode.value === "link" ? { code } : { password };
      const client = await this.clients.logIn(this.options, { handle, ...proof, deviceName: this.deviceName });
      this.password.value = "";
      this.code.value = "";
      this.entered(client);
    } catch (error) {
      this.failure.value = errorText(error);
    } finally {
      this.busy.value = false;
    }
  }

  /** Remove the kept profile of somebody else, and all that is in it. */
  async erase(): Promise<boolean> {
    try {
      await this.clients.erase(this.options);
      return true;
    } catch (error) {
      this.failure.value = errorText(error);
      return false;
    }
  }
}
