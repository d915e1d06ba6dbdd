import type { PublishedLog } from './log-publisher.ts';
import type { PublishReport } from './publish-rounds.ts';

/** What the publisher's thread is told. */
export type PublishCall =
  | { readonly kind: 'follow'; readonly log: PublishedLog; readonly size: number }
  | { readonly kind: 'publish' | 'forget'; readonly id: number; readonly name: string }
  | { readonly kind: 'close' };

/** What it tells. */
export type PublishReply =
  | { readonly kind: 'report'; readonly report: PublishReport }
  | { readonly kind: 'published' | 'forgotten'; readonly id: number }
  | { readonly kind: 'closed' };
