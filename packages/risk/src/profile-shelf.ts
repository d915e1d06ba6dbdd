import type { SubjectProfile } from './subject-profile.ts';

interface Place {
  profile: SubjectProfile;
  /** Used since the hand last passed. */
  isRecent: boolean;
}

/**
 * The profiles held, at most `subjectsMax`. When it is full the least recently used one makes place,
 * approximately (the clock algorithm): a hand goes round and takes the first profile not used since
 * it last passed. It passes over elevated ones twice before it takes one all the same: a flood of
 * new subjects must not make the engine forget whom it suspects.
 */
export class ProfileShelf {
  readonly #subjectsMax: number;
  readonly #bySubject = new Map<string, Place>();
  #places: Place[] = [];
  #hand = 0;
  #evicted = 0;

  constructor(subjectsMax: number) {
    this.#subjectsMax = subjectsMax;
  }

  get size(): number {
    return this.#places.length;
  }

  /** How many profiles made place for others. */
  get evicted(): number {
    return this.#evicted;
  }

  /** The profile of a subject that something happened to. */
  get(subject: string): SubjectProfile | undefined {
    const place = this.#bySubject.get(subject);
    if (place !== undefined) place.isRecent = true;
    return place?.profile;
  }

  /** The profile of a subject that is only asked about. */
  peek(subject: string): SubjectProfile | undefined {
    return this.#bySubject.get(subject)?.profile;
  }

  add(profile: SubjectProfile): void {
    const place = this.#placeForOneMore();
    if (place === undefined) {
      const added = { profile, isRecent: true };
      this.#places.push(added);
      this.#bySubject.set(profile.subject, added);
      return;
    }
    this.#bySubject.delete(place.profile.subject);
    this.#bySubject.set(profile.subject, place);
    place.profile = profile;
    place.isRecent = true;
    this.#evicted++;
  }

  /** Takes profiles away, all of them that are meant. */
  remove(isMeant: (subject: string) => boolean): void {
    const left = this.#places.filter(({ profile }) => !isMeant(profile.subject));
    if (left.length === this.#places.length) return;
    this.#places = left;
    this.#bySubject.clear();
    for (const place of left) this.#bySubject.set(place.profile.subject, place);
    this.#hand = 0;
  }

  /** Nothing while there is room. At most three rounds, and nearly always a few steps. */
  #placeForOneMore(): Place | undefined {
    if (this.#places.length < this.#subjectsMax) return undefined;
    for (let steps = 0; ; steps++) {
      const place = this.#places[this.#hand] as Place;
      this.#hand = (this.#hand + 1) % this.#places.length;
      const isSpared = place.profile.isElevated && steps < 2 * this.#places.length;
      if (!place.isRecent && !isSpared) return place;
      place.isRecent = false;
    }
  }

  *[Symbol.iterator](): Iterator<SubjectProfile> {
    for (const { profile } of this.#places) yield profile;
  }
}
