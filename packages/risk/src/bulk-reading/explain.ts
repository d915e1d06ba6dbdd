import type { Peak } from './evidence.ts';
import { amountAt, measureAt, windowAt } from './measures.ts';

/** For people: what was seen and what is usual, such as `48.2 MB within 10 minutes; usual ...`. */
export function explainPeak(peak: Peak, historyHours: number): string {
  const seen = `${amountText(peak.measure, peak.amount)} within ${windowAt(peak.window).name}`;
  const typical = amountText(peak.measure, amountAt(peak.measure, peak.mean));
  const upTo = amountText(peak.measure, amountAt(peak.measure, peak.mean + 2 * peak.sd));
  const whose = peak.isOfPeers
    ? 'among its peers, for want of its own history'
    : `for it at this hour, from ${Math.floor(historyHours)} active hours`;
  return `${seen}; usual ${whose}: about ${typical}, up to ${upTo}`;
}

function amountText(measure: number, amount: number): string {
  const name = measureAt(measure).name;
  if (name === 'requests') return `${countText(amount)} requests`;
  if (name === 'resources') return `${countText(amount)} distinct resources`;
  return bytesText(amount);
}

function countText(count: number): string {
  return count < 10 ? count.toFixed(1).replace(/\.0$/, '') : Math.round(count).toString();
}

function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step === 0 ? Math.round(value) : value.toPrecision(3)} ${units[step]}`;
}
