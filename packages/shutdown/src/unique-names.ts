/** Numbers names that are taken: `mysql`, `mysql#2`. Two hooks of one name would otherwise share their metrics. */
export class UniqueNames {
  private readonly counts = new Map<string, number>();

  has(name: string): boolean {
    return this.counts.has(name);
  }

  next(name: string): string {
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    if (count === 1) return name;
    const numbered = `${name}#${count}`;
    return this.has(numbered) ? this.next(name) : this.next(numbered);
  }
}
