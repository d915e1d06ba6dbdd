import type { Playbook, PlaybookAction, Signal } from '@countersign/model';
import { levelRank } from './score.ts';

/** One action that a playbook asks for. */
export interface PlaybookStep {
  readonly playbook: string;
  readonly action: PlaybookAction;
  readonly subject: string;
  /** Absent when the signal names none: then `narrow-session` and `revoke-session` cannot be done. */
  readonly session?: string;
  readonly reason: string;
}

/**
 * Which actions a signal asks for, in the order of the playbooks and of each playbook's list; an
 * action that two playbooks ask for comes once, at its first place. Pure.
 *
 * `when.level` means that level or higher: who reacts to MEDIUM must not miss a jump to HIGH. All
 * actions contain, so a risk level that falls, or is known to be LOW for the first time, asks for
 * nothing.
 */
export function runPlaybooks(
  playbooks: readonly Playbook[],
  signal: Signal,
): readonly PlaybookStep[] {
  if (signal.type === 'risk-level-change' && !isRise(signal)) return [];
  const steps = new Map<PlaybookAction, PlaybookStep>();
  for (const playbook of playbooks) {
    if (!matches(playbook, signal)) continue;
    for (const action of playbook.do) {
      if (!steps.has(action)) steps.set(action, step(playbook, action, signal));
    }
  }
  return [...steps.values()];
}

function isRise({ level, previousLevel }: Signal): boolean {
  return levelRank(level) > levelRank(previousLevel);
}

function matches({ on, when }: Playbook, signal: Signal): boolean {
  if (on !== signal.type) return false;
  if (when.feature !== undefined && when.feature !== signal.feature) return false;
  if (when.level === undefined) return true;
  return signal.level !== undefined && levelRank(signal.level) >= levelRank(when.level);
}

function step(playbook: Playbook, action: PlaybookAction, signal: Signal): PlaybookStep {
  return {
    playbook: playbook.name,
    action,
    subject: signal.subject,
    ...(signal.session !== undefined && { session: signal.session }),
    reason: `playbook ${playbook.name}: ${signal.reasonAdmin}`.slice(0, 1000),
  };
}
