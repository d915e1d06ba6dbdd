import type { Event } from '@countersign/model';
import { printable } from './printable.ts';

const RESET = '\u001b[0m';
const COLOURS = { good: '\u001b[32m', bad: '\u001b[31m', warn: '\u001b[33m', dim: '\u001b[2m' };

/**
 * One readable line for an event, or nothing for those that a viewer of decisions need not see
 * (an outcome says little that its decision did not).
 *
 * Much in an event is the word of strangers, and none of it reaches the terminal as a command.
 */
export function eventLine(
  recorded: Event,
  { colour, isDated = false }: { readonly colour: boolean; readonly isDated?: boolean },
): string | undefined {
  const event = printableEvent(recorded);
  const paint = (tone: keyof typeof COLOURS, text: string): string =>
    colour ? `${COLOURS[tone]}${text}${RESET}` : text;
  const time = new Date(event.at)
    .toISOString()
    .slice(isDated ? 0 : 11, 23)
    .replace('T', ' ');
  const point = (event.origin.split('/').at(-1) ?? '').padEnd(10);
  const head = `${paint('dim', time)}  ${point}`;
  switch (event.kind) {
    case 'decision': {
      const word = `${event.effect}${event.enforced || event.effect === 'permit' ? '' : ' (shadow)'}`;
      const tone = event.effect === 'permit' ? 'good' : event.enforced ? 'bad' : 'warn';
      const who = shortName(event.subject ?? event.caller ?? 'nobody');
      const via = event.caller && event.subject ? ` via ${shortName(event.caller)}` : '';
      const what = event.action ?? event.method ?? '';
      const which = event.resource ? ` ${event.resource.id}` : '';
      const why = event.effect === 'permit' ? (event.policies ?? []).join(', ') : event.reason;
      return `${head}  ${paint(tone, word.padEnd(13))}  ${`${who}${via}`.padEnd(34)}  ${`${event.surface ?? ''} ${what}${which}`.padEnd(44)}  ${why}`;
    }
    case 'authentication':
      // Of tokens that points accept the decisions tell; that a person signed in nothing else does.
      if (event.result === 'accepted' && event.listener !== 'issuer') return undefined;
      return `${head}  ${paint(AUTHENTICATION_TONES[event.result], event.result.padEnd(13))}  ${shortName(event.subject ?? event.caller ?? event.ip ?? '').padEnd(34)}  ${(event.listener ?? event.surface ?? '').padEnd(44)}  ${event.reason}${event.detail ? `: ${event.detail}` : ''}`;
    case 'signal':
      return `${head}  ${paint('warn', 'signal'.padEnd(13))}  ${shortName(event.subject).padEnd(34)}  ${event.type.padEnd(44)}  ${event.reason}`;
    case 'administration':
      // Once a minute and point; a clock that is off is an alarm.
      if (event.action === 'clock-compared') return undefined;
      return `${head}  ${paint('dim', 'admin'.padEnd(13))}  ${shortName(event.by).padEnd(34)}  ${event.action.padEnd(44)}  ${shortName(event.target ?? '')}`;
    case 'alarm':
      return `${head}  ${paint('bad', 'ALARM'.padEnd(13))}  ${''.padEnd(34)}  ${event.alarm.padEnd(44)}  ${event.detail}`;
    case 'closure':
      if (event.cause === 'complete') return undefined;
      return `${head}  ${paint('warn', 'closed'.padEnd(13))}  ${shortName(event.subject ?? '').padEnd(34)}  ${(event.surface ?? '').padEnd(44)}  ${event.cause}`;
    default:
      return undefined;
  }
}

const AUTHENTICATION_TONES = { accepted: 'good', refused: 'bad', 'would-refuse': 'warn' } as const;

/** Events hold what callers sent as they sent it, which a terminal would obey. */
function printableEvent(event: Event): Event {
  return JSON.parse(JSON.stringify(event), (_, value) =>
    typeof value === 'string' ? printable(value) : value,
  );
}

/** `spiffe://bank.example/partner/ledgerly` is `partner/ledgerly` to a reader. */
export function shortName(id: string): string {
  return id.replace(/^spiffe:\/\/[^/]+\/(workload\/countersign\/)?/, '');
}
