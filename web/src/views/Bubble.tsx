/** One message. */

import type { Body, Message } from "@iris-im/sdk";
import { t } from "../i18n/index.js";
import { routePath } from "../models/route.js";
import type { OpenChat, SessionModel } from "../models/session.js";
import { keyOf } from "../models/timeline.js";
import { clock, isJumbo, parts } from "../models/words.js";
import { Icon, Tick } from "./Icon.js";
import { preview, tickLabel } from "./messageText.js";

interface Props {
  session: SessionModel;
  open: OpenChat;
  message: Message;
  first: boolean;
  last: boolean;
  /** The one message that Tab reaches. */
  stop: boolean;
  lit: boolean;
  onMenu: (message: Message, at: DOMRect) => void;
}

export function Bubble({ session, open, message, first, last, stop, lit, onMenu }: Props) {
  const { body } = message;
  const jumbo = body.kind === "text" && body.reply === undefined && isJumbo(body.text);
  const sides = ["message", message.own ? "own" : "other", first && "first", last && "last", lit && "lit"];
  const failed = message.state === "refused" || message.state === "expired";
  return (
    // Messages are walked by arrow keys, and Enter opens what can be done.
    <li class={sides.filter(Boolean).join(" ")} data-key={keyOf(message)} data-message="yes" tabIndex={stop ? 0 : -1}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a right click opens the same menu as the button inside */}
      <div
        class={jumbo ? "bubble jumbo" : "bubble"}
        onContextMenu={(event) => {
          if (getSelection()?.isCollapsed === false) return;
          event.preventDefault();
          onMenu(message, new DOMRect(event.clientX, event.clientY, 0, 0));
        }}
      >
        {body.kind === "text" && body.forwarded && (
          <p class="forwarded">
            <Icon name="forward" mirror />
            {t("message.forwarded")}
          </p>
        )}
        {body.kind === "text" && body.reply !== undefined && <Quote session={session} open={open} reply={body.reply} />}
        {body.kind === "text" ? <Text session={session} body={body} /> : <p class="placeholder">{preview(message)}</p>}
        <span class="meta">
          {message.editedAt > 0 && body.kind === "text" && <span>{t("message.edited")}</span>}
          <time dateTime={new Date(message.at).toISOString()}>{clock(message.at)}</time>
          {message.own && <Tick state={message.state} label={tickLabel(message)} />}
        </span>
        <button
          type="button"
          class="bubble-more"
          tabIndex={-1}
          aria-label={t("message.actions")}
          title={t("message.actions")}
          aria-haspopup="menu"
          onClick={(event) => onMenu(message, event.currentTarget.getBoundingClientRect())}
        >
          <Icon name="down" />
        </button>
      </div>
      {failed && (
        <p class="refusal">
          {tickLabel(message)}{" "}
          <button
            type="button"
            class="link"
            onClick={() => void session.attempt(() => session.client.sendAgain(message))}
          >
            {t("message.again")}
          </button>
        </p>
      )}
      {message.reactions.length > 0 && <Reactions session={session} message={message} />}
    </li>
  );
}

function Text({ session, body }: { session: SessionModel; body: Extract<Body, { kind: "text" }> }) {
  return (
    <p class="text" dir="auto">
      {parts(body.text, body.mentions).map((part, n) =>
        part.user !== undefined ? (
          <Mention key={n} session={session} user={part.user} text={part.text} />
        ) : part.link === undefined ? (
          part.text
        ) : (
          <a key={n} href={part.link} target="_blank" rel="noopener noreferrer nofollow">
            {part.text}
          </a>
        ),
      )}
    </p>
  );
}

/** Somebody's name: leads to the chat with them. Mine stands out. */
function Mention({ session, user, text }: { session: SessionModel; user: string; text: string }) {
  if (user === session.user) return <strong class="mention me">{text}</strong>;
  const path = routePath({ kind: "chat", conversation: session.client.conversationWith(user), info: false });
  return (
    <a class="mention" href={`#${path}`} title={session.people.nameOf(user)}>
      {text}
    </a>
  );
}

function Quote({
  session,
  open,
  reply,
}: {
  session: SessionModel;
  open: OpenChat;
  reply: { sender: string; messageId: string };
}) {
  const quoted = open.chat.quote(reply);
  const jump = async () => {
    if (!(await open.chat.jumpTo(reply))) session.dialog.tell(t("chat.gone"));
  };
  return (
    <button type="button" class="quote" tabIndex={-1} onClick={() => void jump()}>
      <span class="quote-name" dir="auto">
        {session.people.nameOf(reply.sender)}
      </span>
      <span class="quote-text" dir="auto">
        {quoted === undefined ? "…" : quoted === null ? t("chat.gone") : preview(quoted)}
      </span>
    </button>
  );
}

function Reactions({ session, message }: { session: SessionModel; message: Message }) {
  return (
    <div class="reactions">
      {message.reactions.map(({ emoji, users }) => {
        const mine = users.includes(session.user);
        const names = users.map((user) => session.people.nameOf(user)).join(", ");
        return (
          <button
            key={emoji}
            type="button"
            class={mine ? "reaction mine" : "reaction"}
            aria-pressed={mine}
            aria-label={t("message.reaction", { emoji, names })}
            title={names}
            onClick={() => void session.attempt(() => session.client.react(message, mine ? "" : emoji))}
          >
            {emoji}
            {users.length > 1 && <span>{users.length}</span>}
          </button>
        );
      })}
    </div>
  );
}
