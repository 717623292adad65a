/**
 * Terraform's templates: a text with `${expression}` and `%{ directive }` in it, where `$${` and `%%{` stand for `${`
 * and `%{` themselves. https://developer.hashicorp.com/terraform/language/expressions/strings#string-templates
 */
export interface TemplatePart {
  readonly kind: "literal" | "expression" | "directive";
  /** Of an expression and a directive what is between the braces; of a literal its source, escapes as they stand. */
  readonly text: string;
}

const SIGNS = { "${": "expression", "%{": "directive" } as const;

/** @throws if an expression has no end. */
export function templateParts(source: string): TemplatePart[] {
  return new Scanner(source).templateParts();
}

/** The expression of a text that consists of nothing else. */
export function loneExpression(source: string): string | undefined {
  const [first, ...more] = templateParts(source);
  return first?.kind === "expression" && more.length === 0 ? first.text : undefined;
}

/** A text as HCL writes it, in quotes. */
export function quoted(source: string): string {
  const parts = templateParts(source).map(({ kind, text }) =>
    kind === "literal" ? escaped(text) : `${kind === "expression" ? "$" : "%"}{${text}}`,
  );
  return `"${parts.join("")}"`;
}

/** JSON's escapes are HCL's, but for two. */
function escaped(literal: string): string {
  return JSON.stringify(literal)
    .slice(1, -1)
    .replaceAll(/\\(.)/g, (escape, sign: string) => ({ b: "\\u0008", f: "\\u000c" })[sign] ?? escape);
}

/** Reads expressions only to find where they end. */
export class Scanner {
  protected position = 0;

  public constructor(protected readonly source: string) {}

  public templateParts(): TemplatePart[] {
    const parts: TemplatePart[] = [];
    let begun = 0;
    const literal = (): void => {
      if (begun < this.position) parts.push({ kind: "literal", text: this.source.slice(begun, this.position) });
    };
    while (this.position < this.source.length) {
      if (this.skips("$${") || this.skips("%%{")) continue;
      const sign = this.source.slice(this.position, this.position + 2);
      if (sign !== "${" && sign !== "%{") {
        this.position += 1;
        continue;
      }
      literal();
      this.position += 2;
      parts.push({ kind: SIGNS[sign], text: this.until("}") });
      this.position += 1;
      begun = this.position;
    }
    literal();
    return parts;
  }

  /** The text before the first of `ends` that is outside of brackets and strings. */
  protected until(...ends: readonly string[]): string {
    const begun = this.position;
    while (!ends.some((end) => this.sees(end))) {
      if (this.position >= this.source.length) throw new Error(`${this.source} has no ${ends.join(" or ")}`);
      if (this.skips('"')) this.skipText();
      else {
        const closing = { "(": ")", "[": "]", "{": "}" }[this.source.charAt(this.position)];
        this.position += 1;
        if (closing !== undefined) {
          this.until(closing);
          this.position += 1;
        }
      }
    }
    return this.source.slice(begun, this.position);
  }

  private skipText(): void {
    while (!this.skips('"')) {
      if (this.position >= this.source.length) throw new Error(`${this.source} has a text without an end`);
      if (this.skips("\\")) this.position += 1;
      else if (this.skips("$${") || this.skips("%%{")) continue;
      else if (this.skips("${") || this.skips("%{")) {
        this.until("}");
        this.position += 1;
      } else this.position += 1;
    }
  }

  protected sees(text: string): boolean {
    return this.source.startsWith(text, this.position);
  }

  protected skips(text: string): boolean {
    if (!this.sees(text)) return false;
    this.position += text.length;
    return true;
  }
}
