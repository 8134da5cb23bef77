import unittest

from basket import change, total


class Basket(unittest.TestCase):
    def test_few(self):
        self.assertEqual(total(100, 9), 900)

    def test_exactly_ten(self):
        self.assertEqual(total(100, 10), 900)

    def test_many(self):
        self.assertEqual(total(100, 20), 1800)

    def test_change(self):
        self.assertEqual(change(1000, 900), 100)
        self.assertEqual(change(100, 900), 0)


if __name__ == "__main__":
    unittest.main()
