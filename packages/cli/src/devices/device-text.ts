import type { DeviceDetails, DeviceReport } from '@countersign/identity';
import { shortName } from '../record/event-line.ts';
import { printable } from '../record/printable.ts';

const timeOf = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

/** One device on one line: who it is, whose, and what is not as it should be. */
export function deviceLine(device: DeviceReport): string {
  const { id, state, ownership, owner, posture, score } = device;
  const values = Object.entries(posture);
  const named = (value: string) =>
    values.flatMap(([signal, { value: found }]) => (found === value ? [signal] : []));
  const [good, bad, unknown] = [named('true'), named('false'), named('unknown')];
  const parts = [
    owner === undefined ? `${ownership}, shared` : `${ownership}, ${shortName(owner)}`,
    `${good.length} true`,
    ...(bad.length > 0 ? [`false: ${bad.join(' ')}`] : []),
    `${unknown.length} unknown`,
    ...(score === undefined ? [] : [`score ${score}`]),
  ];
  return printable(`${shortName(id).padEnd(32)}  ${state.padEnd(8)}  ${parts.join(', ')}`);
}

/** All that is known of a device, a signal a line. */
export function deviceText(device: DeviceDetails): string {
  const { identifiers, keyThumbprint, certificateEndsAtMs, enrolledAtMs } = device;
  const names = Object.entries(identifiers).map(([kind, value]) => `${kind} ${value}`);
  const signals = Object.entries(device.posture).map(([signal, said]) => {
    const { value, source, assurance, observedAtMs, untilMs, isDisputed } = said;
    const from =
      value === 'unknown' || observedAtMs === undefined || untilMs === undefined
        ? ''
        : `  ${source}, ${assurance}, seen ${timeOf(observedAtMs)}, counts until ${timeOf(untilMs)}${isDisputed ? ', DISPUTED by another source' : ''}`;
    return `  ${signal.padEnd(24)}  ${value.padEnd(7)}${from}`;
  });
  return [
    deviceLine(device),
    ...(names.length > 0 ? [`  named        ${names.join(', ')}`] : []),
    `  key          ${keyThumbprint ?? 'none: it has not enrolled'}`,
    ...(enrolledAtMs === undefined ? [] : [`  enrolled     ${timeOf(enrolledAtMs)}`]),
    ...(certificateEndsAtMs === undefined
      ? []
      : [`  certificate  ends ${timeOf(certificateEndsAtMs)}`]),
    'posture',
    ...signals,
    ...(device.observations.length > 0 ? ['what sources said last'] : []),
    ...device.observations.map(
      ({ signal, source, value, observedAtMs, assurance }) =>
        `  ${signal.padEnd(24)}  ${value.padEnd(7)}  ${source}, ${assurance}, seen ${timeOf(observedAtMs)}`,
    ),
  ]
    .map(printable)
    .join('\n');
}
