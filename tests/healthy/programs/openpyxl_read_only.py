"""Writes a workbook row by row and reads it row by row."""
# packages: openpyxl

import os
import tempfile

import openpyxl


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "orders.xlsx")
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("orders")
        for i in range(25_000):
            sheet.append([i, f"customer-{i % 500}", i * 0.5, i % 7 == 0])
        book.save(path)
        book = openpyxl.load_workbook(path, read_only=True)
        total = sum(row[2] for row in book["orders"].iter_rows(values_only=True))
        book.close()
    print(total)


if __name__ == "__main__":
    main()
