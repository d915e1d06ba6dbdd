import type { OcsfEvent } from '../ocsf/ocsf-event.ts';
import type { ExportRecord } from './export-sink.ts';

/** RFC 5424 §6.2.1: 13 is "log audit". */
const FACILITY_AUDIT = 13;
const HOSTNAME_LENGTH_MAX = 255;

/** `severity_id` of OCSF to the severities of RFC 5424 §6.2.1. */
const SEVERITIES: Readonly<Record<number, number>> = { 1: 6, 2: 5, 3: 4, 4: 3, 5: 2 };
const NOTICE = 5;

/**
 * One message of RFC 5424 in the octet-counting frame of RFC 6587 §3.4.1 and RFC 5425 §4.3: `<length> <message>`.
 *
 * MSGID is the event's kind, MSG the event in OCSF, all of it ASCII with JSON's own escapes: UTF-8 would have to begin
 * with a byte order mark (§6.4), on which readers of JSON stumble.
 */
export function syslogFrame(
  { json, event }: ExportRecord,
  { hostname, appName }: { readonly hostname: string; readonly appName: string },
): Buffer {
  const { severity_id, time } = JSON.parse(json) as OcsfEvent;
  const priority = FACILITY_AUDIT * 8 + (SEVERITIES[severity_id] ?? NOTICE);
  const host = printable(hostname, HOSTNAME_LENGTH_MAX);
  const header = `<${priority}>1 ${new Date(time).toISOString()} ${host} ${printable(appName, 48)} - ${event.kind} -`;
  const message = Buffer.from(`${header} ${ascii(json)}`, 'latin1');
  return Buffer.concat([Buffer.from(`${message.length} `, 'latin1'), message]);
}

/** PRINTUSASCII, or the nil value. */
function printable(text: string, lengthMax: number): string {
  return text.replace(/[^\x21-\x7e]/g, '').slice(0, lengthMax) || '-';
}

/** The same JSON value without a character outside of ASCII. */
function ascii(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
