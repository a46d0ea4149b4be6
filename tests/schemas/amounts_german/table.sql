-- A shop that imports its order list into MySQL from a German spreadsheet.
-- Every cell is text: amounts as 1.234,50 and dates as 07.10.2025.
CREATE TABLE orders (
  order_number varchar(20) NOT NULL,
  order_date varchar(10) NOT NULL,
  customer_email varchar(191) DEFAULT NULL,
  financial_status varchar(30) DEFAULT NULL,
  currency char(3) NOT NULL,
  subtotal varchar(20) NOT NULL,
  discount_amount varchar(20) NOT NULL,
  shipping varchar(20) NOT NULL,
  tax varchar(20) NOT NULL,
  total varchar(20) NOT NULL,
  total_refunded varchar(20) NOT NULL,
  PRIMARY KEY (order_number)
) DEFAULT CHARSET=utf8mb4;
