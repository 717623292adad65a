import { hclBlocks, type Json } from "./hcl";

function resource(body: Json): string {
  const [block = ""] = hclBlocks("resource", { aws_x: { y: body } });
  return block.replace(/^resource "aws_x" "y" \{\n/, "").replace(/\}\n$/, "");
}

test("a block has the labels of its type, and each label gives one block", () => {
  expect(hclBlocks("terraform", { required_version: ">= 1.2.0" })).toEqual([
    'terraform {\n  required_version = ">= 1.2.0"\n}\n',
  ]);
  expect(hclBlocks("output", { a: { value: 1 }, b: { value: true } })).toEqual([
    'output "a" {\n  value = 1\n}\n',
    'output "b" {\n  value = true\n}\n',
  ]);
  expect(hclBlocks("data", { aws_x: { y: {} } })).toEqual(['data "aws_x" "y" {\n}\n']);
});

test("an object becomes a block, once or for each in a list, except for maps and defaults", () => {
  expect(resource({ lifecycle: { precondition: [{ condition: "${a}" }, { condition: "${b}" }] } })).toBe(`  lifecycle {
    precondition {
      condition = a
    }

    precondition {
      condition = b
    }
  }
`);
  expect(resource({ environment: { variables: { A: "1", "b c": "2" } } })).toBe(`  environment {
    variables = {
      A     = "1"
      "b c" = "2"
    }
  }
`);
  expect(hclBlocks("variable", { x: { default: {}, type: "map(string)" } })).toEqual([
    'variable "x" {\n  default = {}\n  type    = map(string)\n}\n',
  ]);
});

test.each([
  ["text", '"text"'],
  ['a "quoted" text', '"a \\"quoted\\" text"'],
  ["two\nlines", '"two\\nlines"'],
  ["${var.a}", "var.a"],
  ["${var.a}-${var.b}", '"${var.a}-${var.b}"'],
  ['"${join(", ", ["}"])}"', '"\\"${join(", ", ["}"])}\\""'],
  ["$${var.a}", '"$${var.a}"'],
  ['${f("${var.a}")}', 'f("${var.a}")'],
])("the text %j is written as %s", (text, hcl) => {
  expect(resource({ a: text })).toBe(`  a = ${hcl}\n`);
});

test("references in depends_on are not quoted", () => {
  expect(resource({ depends_on: ["aws_x.z"] })).toBe("  depends_on = [aws_x.z]\n");
});

test("a policy document is written in lines, references and conditions as they are", () => {
  const statement = '{"Effect" = "Allow", "Resource" = ["arn:${var.a["b"]}:*", var.c], "Condition" = f(1, {d = 2})}';
  expect(resource({ policy: `\${jsonencode({"Statement" = [${statement}]})}` })).toBe(`  policy = jsonencode({
    Statement = [
      {
        Effect    = "Allow"
        Resource  = ["arn:\${var.a["b"]}:*", var.c]
        Condition = f(1, {d = 2})
      },
    ]
  })
`);
});

test("a text without an end is an error, and so is an invalid block", () => {
  expect(() => resource({ a: "${f(" })).toThrow("${f( has no )");
  expect(() => hclBlocks("output", { a: 1 })).toThrow("output.a is no block");
});
