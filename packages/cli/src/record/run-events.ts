import { type Event, pathOfSubject } from '@countersign/model';
import { adminClient } from '../admin-client.ts';
import { type Arguments, CommandError, EXIT, type Io } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';
import { oneOf, secondsOf } from '../command-line/words.ts';
import { dataOf } from '../commands/options.ts';
import { dataFolder } from '../data-folder.ts';
import { eventLine } from './event-line.ts';
import { givenOf, recordReading } from './record-reading.ts';
import { recordedEvents } from './recorded-events.ts';

/** The kinds of event, as `--kind` takes them. */
export const EVENT_KINDS = [
  'authentication',
  'decision',
  'outcome',
  'closure',
  'administration',
  'signal',
  'alarm',
] as const satisfies readonly Event['kind'][];

/** The options that say which events are shown. */
const FILTERS = { once: ['since', 'surface', 'subject', 'id'], many: ['kind'] };

/** Prints what was recorded, or what is being recorded, an event a line. */
export async function runEvents(args: Arguments, io: Io): Promise<number> {
  const fits = filterOf(args);
  const isColoured = io.isTerminal && !io.env['NO_COLOR'];
  const show = (event: Event): void => {
    if (!fits(event)) return;
    const line = args.flag('json')
      ? jsonText(event)
      : eventLine(event, { colour: isColoured, isDated: !args.flag('follow') });
    if (line !== undefined) io.out(`${line}\n`);
  };
  const dataRoot = dataOf(args, io);
  const since = secondsOf(args, 'since');
  if (!args.flag('follow')) {
    const sinceMs = since === undefined ? 0 : io.now() - since * 1000;
    await recordReading('events', { io, root: dataRoot, told: givenOf(args, FILTERS) });
    for await (const event of recordedEvents(dataRoot, { sinceMs })) {
      if (io.stop.aborted) break;
      show(event);
    }
    return EXIT.ok;
  }
  const sinceMs = since === undefined ? Number.POSITIVE_INFINITY : io.now() - since * 1000;
  const path = `/v1/events${since === undefined ? '' : '?replay=true'}`;
  const client = adminClient(dataFolder(dataRoot).adminSocket);
  for await (const event of client.lines(path, { signal: io.stop })) {
    if (since === undefined || (event as Event).at >= sinceMs) show(event as Event);
  }
  // Without an end of ours it is the authority's, and whoever watches must know.
  if (!io.stop.aborted) {
    throw new CommandError('cannot follow events: the authority ended the stream; is it running?');
  }
  return EXIT.ok;
}

/** What the options leave of the events. */
function filterOf(args: Arguments): (event: Event) => boolean {
  const kinds = args.texts('kind').map((word) => oneOf('kind', word, EVENT_KINDS));
  const surface = args.text('surface');
  const id = args.text('id');
  const text = args.text('subject');
  return (event) =>
    (kinds.length === 0 || kinds.includes(event.kind)) &&
    (id === undefined || event.id === id) &&
    (surface === undefined || ('surface' in event && event.surface === surface)) &&
    (text === undefined || isAbout(event, text));
}

/** `partner/example` names the subject whose SPIFFE ID ends so. */
function isAbout(event: Event, text: string): boolean {
  if (!('subject' in event) || event.subject === undefined) return false;
  return event.subject === text || pathOfSubject(event.subject) === text;
}
