/** People to pick from while an @ is being typed. The box keeps the focus; it says which one is active. */

import { t } from "../i18n/index.js";
import type { ComposerModel } from "../models/composer.js";
import { Avatar } from "./parts.js";

export const MENTIONS_ID = "mentions";

export const optionId = (user: string) => `${MENTIONS_ID}-${user}`;

export function MentionList({ composer, onPick }: { composer: ComposerModel; onPick: (user: string) => void }) {
  const { mentions } = composer;
  const { people } = mentions;
  const offered = mentions.offered.value;
  if (offered.length === 0) return null;
  return (
    <div id={MENTIONS_ID} class="mention-list" role="listbox" tabIndex={-1} aria-label={t("write.mention")}>
      {offered.map((user, at) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the box, which has the focus
        <div
          key={user}
          id={optionId(user)}
          class={at === mentions.active.value ? "mention-option active" : "mention-option"}
          role="option"
          tabIndex={-1}
          aria-selected={at === mentions.active.value}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onPick(user)}
        >
          <Avatar people={people} user={user} />
          <span class="mention-name" dir="auto">
            {people.nameOf(user)}
          </span>
          <bdi class="mention-handle">@{people.handleOf(user)}</bdi>
        </div>
      ))}
    </div>
  );
}
